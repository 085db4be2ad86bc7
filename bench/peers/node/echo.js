// An echo server by Node's callbacks. Prints its port.
const server = require('net').createServer({ noDelay: true }, (socket) => {
  socket.on('data', (data) => socket.write(data));
  socket.on('error', () => {});
});
server.listen({ port: 0, host: '127.0.0.1', backlog: 1024 }, () => {
  console.log(server.address().port);
});
