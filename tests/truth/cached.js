// A service in front of Redis, with exactly the limit that its arguments select.
//
// node cached.js PORT REDIS_PORT POOL COMMAND [BURN_MS]
//
// Each request takes one of POOL connections, sends COMMAND, whose words are separated by blanks, waits for its
// reply, which has to be one line, and burns BURN_MS of CPU. An error of Redis becomes status 500.
const http = require("http");
const net = require("net");

const [port, redisPort, pool, command, burnMs] = process.argv.slice(2);
const words = command.split(" ");
const message = `*${words.length}\r\n` + words.map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`).join("");
const free = [];
const waiting = [];

for (let number = 0; number < Number(pool); number++) {
  const connection = net.connect(Number(redisPort), "127.0.0.1");
  connection.setNoDelay(true);
  connection.done = null;
  connection.on("data", (data) => {
    if (data.includes("\r\n")) connection.done(data[0] === 0x2d ? 500 : 200);
  });
  connection.on("connect", () => release(connection));
}

function release(connection) {
  const next = waiting.shift();
  if (next) next(connection);
  else free.push(connection);
}

function acquire(use) {
  const connection = free.pop();
  if (connection) use(connection);
  else waiting.push(use);
}

function burn() {
  const until = performance.now() + Number(burnMs || 0);
  while (performance.now() < until);
}

const server = http.createServer((request, response) => {
  if (request.url === "/healthz") return response.end("ok");
  acquire((connection) => {
    connection.done = (status) => {
      release(connection);
      burn();
      response.statusCode = status;
      response.end("ok");
    };
    connection.write(message);
  });
});
server.keepAliveTimeout = 60000;
server.listen(Number(port), "127.0.0.1");
