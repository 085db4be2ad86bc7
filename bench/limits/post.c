/*
 * post N: the usual way to bring something from another thread to a libuv loop: a list under a
 * mutex, and uv_async_send for each item. A thread sends N numbers as fast as it can; the time is
 * until a C function in the loop's thread has had the last one.
 */

#include <pthread.h>
#include <stdint.h>
#include <uv.h>

#include "limit.h"

struct item {
    struct item *next;
    void (*function)(void *context);
    void *context;
};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static struct item *first, **last = &first;
static uv_async_t wake;
static long count, received;
static long long sum;

static void take(void *context)
{
    sum += (long long)(intptr_t)context;
    received++;
}

static void on_wake(uv_async_t *handle)
{
    struct item *item;

    pthread_mutex_lock(&mutex);
    item = first;
    first = NULL;
    last = &first;
    pthread_mutex_unlock(&mutex);
    while (item != NULL) {
        struct item *next = item->next;

        item->function(item->context);
        free(item);
        item = next;
    }
    if (received == count) {
        uv_close((uv_handle_t *)handle, NULL);
    }
}

static void *send_all(void *arg)
{
    (void)arg;
    for (long i = 1; i <= count; i++) {
        struct item *item = malloc(sizeof *item);

        check(item != NULL, "there is memory");
        item->next = NULL;
        item->function = take;
        item->context = (void *)(intptr_t)i;
        pthread_mutex_lock(&mutex);
        *last = item;
        last = &item->next;
        pthread_mutex_unlock(&mutex);
        uv_async_send(&wake);
    }
    return NULL;
}

int main(int argc, char **argv)
{
    pthread_t thread;
    double start;

    count = count_argument(argc, argv, 1);
    check(uv_async_init(uv_default_loop(), &wake, on_wake) == 0, "there is a handle");
    start = now_ns();
    check(pthread_create(&thread, NULL, send_all, NULL) == 0, "there is a thread");
    uv_run(uv_default_loop(), UV_RUN_DEFAULT);
    start = now_ns() - start;
    pthread_join(thread, NULL);
    check(sum == (long long)count * (count + 1) / 2, "all have come");
    uv_loop_close(uv_default_loop());
    report("post", start / (double)count, "ns");
    report("port_call", start / (double)count, "ns");
    return 0;
}
