# An echo server with a greenlet for each connection. Prints its port.
import socket

from gevent.server import StreamServer


def handle(connection, _):
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    while True:
        data = connection.recv(4096)
        if not data:
            break
        connection.sendall(data)


server = StreamServer(("127.0.0.1", 0), handle, backlog=1024)
server.start()
print(server.server_port, flush=True)
server.serve_forever()
