// A service with a pool of connections to Redis behind it, with exactly the limit that its arguments select.
//
// go run pooled.go PORT REDIS_PORT POOL COMMAND [BURN_MS]
//
// Each request takes one of POOL connections, sends COMMAND, whose words are separated by blanks, and waits for its
// reply, which has to be one line; then it burns BURN_MS of CPU. An error of Redis becomes status 500.
package main

import (
	"bufio"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"
)

type connection struct {
	net.Conn
	replies *bufio.Reader
}

func main() {
	port, redis, command := os.Args[1], "127.0.0.1:"+os.Args[2], message(os.Args[4])
	pool, burn := number(os.Args[3]), time.Duration(0)
	if len(os.Args) > 5 {
		burn = time.Duration(number(os.Args[5])) * time.Millisecond
	}
	free := make(chan *connection, pool)
	for range make([]struct{}, pool) {
		one, err := net.Dial("tcp", redis)
		if err != nil {
			log.Fatal(err)
		}
		free <- &connection{one, bufio.NewReader(one)}
	}
	http.HandleFunc("/healthz", func(response http.ResponseWriter, _ *http.Request) { fmt.Fprint(response, "ok") })
	http.HandleFunc("/", func(response http.ResponseWriter, _ *http.Request) {
		one := <-free
		_, err := one.Write(command)
		reply := ""
		if err == nil {
			reply, err = one.replies.ReadString('\n')
		}
		free <- one
		for until := time.Now().Add(burn); time.Now().Before(until); {
		}
		if err != nil || strings.HasPrefix(reply, "-") {
			response.WriteHeader(http.StatusInternalServerError)
		}
		fmt.Fprint(response, "ok")
	})
	log.Fatal(http.ListenAndServe("127.0.0.1:"+port, nil))
}

func number(text string) int {
	value, err := strconv.Atoi(text)
	if err != nil {
		log.Fatal(err)
	}
	return value
}

func message(command string) []byte {
	words := strings.Split(command, " ")
	text := fmt.Sprintf("*%d\r\n", len(words))
	for _, word := range words {
		text += fmt.Sprintf("$%d\r\n%s\r\n", len(word), word)
	}
	return []byte(text)
}
