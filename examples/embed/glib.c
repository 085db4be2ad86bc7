/*
 * glib.c - a host in GLib's main loop, as programs with a window have it: a GSource that asks for
 * the host's timeout before each wait, watches its descriptor, and takes a turn when one of them
 * says so. GLib's own sources go on beside it.
 *
 * Needs: glib-2.0
 */
#include <glib.h>
#include <stdio.h>
#include <tasklet.h>

static const char script[] = "local tasklet = require 'tasklet'\n"
                             "for message in tasklet.receive() do\n"
                             "    print('the script hears', message.name, message.value)\n"
                             "    if message.value == 3 then break end\n"
                             "end\n"
                             "tasklet.sleep(0.01)\n"
                             "print 'the script ends'\n";

struct host_source {
    GSource source;
    struct tasklet_host *host;
    gpointer tag; /* of its descriptor */
};

static gboolean prepare(GSource *source, gint *timeout)
{
    *timeout = tasklet_host_timeout(((struct host_source *)source)->host);
    return *timeout == 0;
}

static gboolean check(GSource *source)
{
    struct host_source *s = (struct host_source *)source;

    return (g_source_query_unix_fd(source, s->tag) & G_IO_IN) != 0 ||
           tasklet_host_timeout(s->host) == 0;
}

/* The scripts' program has ended: so does the source, and with it the loop. */
static gboolean dispatch(GSource *source, GSourceFunc callback, gpointer loop)
{
    (void)callback;
    if (tasklet_host_turn(((struct host_source *)source)->host, 0) > 0) return G_SOURCE_CONTINUE;
    g_main_loop_quit(loop);
    return G_SOURCE_REMOVE;
}

static gboolean no_callback(gpointer loop)
{
    (void)loop;
    return G_SOURCE_CONTINUE;
}

static GSourceFuncs functions = {prepare, check, dispatch, NULL, NULL, NULL};

static void add_host(struct tasklet_host *host, GMainLoop *loop)
{
    GSource *source = g_source_new(&functions, sizeof(struct host_source));
    struct host_source *s = (struct host_source *)source;

    s->host = host;
    s->tag = g_source_add_unix_fd(source, tasklet_host_fd(host), G_IO_IN);
    g_source_set_callback(source, no_callback, loop, NULL);
    g_source_attach(source, NULL);
    g_source_unref(source);
}

/* The program's own: a message every 5 ms. */
static gboolean on_tick(gpointer receiver)
{
    static long long count;
    struct tasklet_value value = tasklet_integer(++count);

    printf("the program sends tick %lld\n", count);
    tasklet_send(receiver, "tick", &value);
    return count < 3 ? G_SOURCE_CONTINUE : G_SOURCE_REMOVE;
}

int main(void)
{
    GMainLoop *loop = g_main_loop_new(NULL, FALSE);
    struct tasklet_host *host;
    struct tasklet_value function;
    struct tasklet *receiver;
    int status;

    if (tasklet_host_new(NULL, &host) < 0) return 1;
    if (tasklet_load_string(host, script, "=script", &function) < 0 ||
        tasklet_start(host, NULL, &function, NULL, 0, &receiver) < 0) {
        fprintf(stderr, "glib: %s\n", tasklet_host_error(host));
        return 1;
    }
    tasklet_release(host, &function);
    add_host(host, loop);
    g_timeout_add(5, on_tick, receiver);
    g_main_loop_run(loop);
    status = tasklet_host_status(host);
    tasklet_drop(receiver);
    tasklet_host_free(host);
    g_main_loop_unref(loop);
    return status;
}
