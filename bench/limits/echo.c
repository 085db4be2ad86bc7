/*
 * echo: the least that an echo server on libuv can do: each read into one buffer, sent back at
 * once. Prints its port.
 */

#include "limit.h"

#include <arpa/inet.h>
#include <string.h>
#include <uv.h>

static char buffer[65536];

struct rest {
    uv_write_t request;
    char data[];
};

static void closed(uv_handle_t *handle)
{
    free(handle);
}

static void alloc(uv_handle_t *handle, size_t size, uv_buf_t *buf)
{
    (void)handle;
    (void)size;
    *buf = uv_buf_init(buffer, sizeof buffer);
}

static void written(uv_write_t *request, int status)
{
    (void)status;
    free(request);
}

static void came(uv_stream_t *stream, ssize_t count, const uv_buf_t *buf)
{
    uv_buf_t out;
    int sent;

    if (count < 0) {
        uv_close((uv_handle_t *)stream, closed);
        return;
    }
    if (count == 0) {
        return;
    }
    out = uv_buf_init(buf->base, (unsigned)count);
    sent = uv_try_write(stream, &out, 1);
    if (sent < count) {
        struct rest *rest;

        sent = sent > 0 ? sent : 0;
        rest = malloc(sizeof *rest + (size_t)(count - sent));
        check(rest != NULL, "there is memory for the rest");
        memcpy(rest->data, buf->base + sent, (size_t)(count - sent));
        out = uv_buf_init(rest->data, (unsigned)(count - sent));
        uv_write(&rest->request, stream, &out, 1, written);
    }
}

static void connected(uv_stream_t *server, int status)
{
    uv_tcp_t *tcp = malloc(sizeof *tcp);

    check(status == 0 && tcp != NULL, "a connection is accepted");
    uv_tcp_init(server->loop, tcp);
    uv_accept(server, (uv_stream_t *)tcp);
    uv_tcp_nodelay(tcp, 1);
    uv_read_start((uv_stream_t *)tcp, alloc, came);
}

int main(void)
{
    uv_loop_t *loop = uv_default_loop();
    uv_tcp_t server;
    struct sockaddr_in address;
    int size = sizeof address;

    uv_tcp_init(loop, &server);
    uv_ip4_addr("127.0.0.1", 0, &address);
    uv_tcp_bind(&server, (const struct sockaddr *)&address, 0);
    check(uv_listen((uv_stream_t *)&server, 1024, connected) == 0, "it listens");
    uv_tcp_getsockname(&server, (struct sockaddr *)&address, &size);
    printf("%d\n", ntohs(address.sin_port));
    fflush(stdout);
    return uv_run(loop, UV_RUN_DEFAULT);
}
