// A service with a pool of threads and Redis behind it, with exactly the limit that its arguments select.
//
// java Cached.java PORT REDIS_PORT THREADS POOL COMMAND
//
// Each request occupies one of THREADS threads, takes one of POOL connections, sends COMMAND, and waits for its
// reply, which has to be one line.
import com.sun.net.httpserver.HttpServer;
import java.io.InputStream;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.Executors;

public class Cached {
    public static void main(String[] arguments) throws Exception {
        System.setProperty("sun.net.httpserver.nodelay", "true");
        int pool = Integer.parseInt(arguments[3]);
        byte[] command = (arguments[4] + "\r\n").getBytes();
        byte[] body = "ok".getBytes();
        var free = new ArrayBlockingQueue<Socket>(pool);
        for (int number = 0; number < pool; number++) {
            var connection = new Socket("127.0.0.1", Integer.parseInt(arguments[1]));
            connection.setTcpNoDelay(true);
            free.add(connection);
        }
        var server = HttpServer.create(new InetSocketAddress("127.0.0.1", Integer.parseInt(arguments[0])), 1024);
        server.setExecutor(Executors.newFixedThreadPool(Integer.parseInt(arguments[2])));
        server.createContext("/healthz", exchange -> {
            exchange.sendResponseHeaders(200, body.length);
            exchange.getResponseBody().write(body);
            exchange.close();
        });
        server.createContext("/", exchange -> {
            int status = 200;
            try {
                var connection = free.take();
                try {
                    connection.getOutputStream().write(command);
                    status = reply(connection.getInputStream());
                } finally {
                    free.add(connection);
                }
            } catch (InterruptedException interrupted) {
                status = 500;
            }
            exchange.sendResponseHeaders(status, body.length);
            exchange.getResponseBody().write(body);
            exchange.close();
        });
        server.start();
    }

    private static int reply(InputStream stream) throws java.io.IOException {
        int first = stream.read();
        for (int next = first; next != '\n'; next = stream.read()) {
            if (next < 0) return 500;
        }
        return first == '-' ? 500 : 200;
    }
}
