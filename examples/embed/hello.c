/*
 * hello.c - the smallest program that embeds: it runs a script, and what that starts, to the end.
 */
#include <stdio.h>
#include <tasklet.h>

static const char script[] = "local tasklet = require 'tasklet'\n"
                             "tasklet.run(function()\n"
                             "    tasklet.sleep(0.01)\n"
                             "    print('world')\n"
                             "end)\n"
                             "print('hello')\n";

int main(void)
{
    struct tasklet_host *host;
    struct tasklet_value function;
    int status = tasklet_host_new(NULL, &host);

    if (status < 0) {
        fprintf(stderr, "hello: %s\n", tasklet_strerror(status));
        return 1;
    }
    if (tasklet_load_string(host, script, "=hello", &function) < 0 ||
        tasklet_start(host, NULL, &function, NULL, 0, NULL) < 0) {
        fprintf(stderr, "hello: %s\n", tasklet_host_error(host));
        tasklet_host_free(host);
        return 1;
    }
    tasklet_release(host, &function);
    status = tasklet_host_run(host);
    tasklet_host_free(host);
    return status;
}
