/*
 * sandbox.c - runs scripts that nobody trusts: each has a host of its own, with limits and without
 * capabilities, and what it tries is stopped. The program goes on, and says why.
 */
#include <stdio.h>
#include <string.h>
#include <tasklet.h>

static const struct {
    const char *name, *text;
} scripts[] = {
    {"loop", "while true do pcall(function() while true do end end) end"},
    {"file", "io.open('/etc/passwd')"},
    {"program", "os.execute('true')"},
    {"bytecode", "assert(load(string.dump(function() end)))"},
    {"memory", "local t = {} while true do t[#t + 1] = ('x'):rep(1000) .. #t end"},
    {"crowd", "local tasklet = require 'tasklet'\n"
              "while true do tasklet.run(tasklet.sleep, 1) end"},
    {"exit", "table.sort({ 2, 1 }, function() os.exit(7) end)"},
    {"harmless", "local tasklet = require 'tasklet'\n"
                 "tasklet.sleep(0.01)\n"
                 "answer = ('%d'):format(6 * 7)"},
};

/* The first line of an error; the rest is a traceback. */
static void on_error(void *context, const char *text)
{
    const char *end = strchr(text, '\n');

    (void)context;
    printf("  %.*s\n", (int)(end != NULL ? end - text : (long)strlen(text)), text);
}

static int run(const char *name, const char *text)
{
    struct tasklet_options options;
    struct tasklet_host *host;
    struct tasklet_value script, answer;
    char chunk[32];
    int status;

    tasklet_options_init(&options);
    options.on_error = on_error;
    options.max_instructions = 1000000; /* the same on each machine; or max_time, in seconds */
    options.max_memory = 4000000;
    options.max_tasklets = 100;
    options.max_mailbox = 100;
    status = tasklet_host_new(&options, &host);
    if (status < 0) {
        fprintf(stderr, "%s\n", tasklet_strerror(status));
        return status;
    }
    printf("%s\n", name);
    snprintf(chunk, sizeof chunk, "=%s", name);
    if (tasklet_load_string(host, text, chunk, &script) < 0 ||
        tasklet_start(host, NULL, &script, NULL, 0, NULL) < 0) {
        printf("  %s\n", tasklet_host_error(host));
    }
    tasklet_release(host, &script);
    status = tasklet_host_run(host);
    if (tasklet_global_get(host, "answer", &answer) == 0 && answer.type == TASKLET_STRING) {
        printf("  answers %.*s\n", (int)answer.length, answer.as.bytes);
    }
    printf("  ends with status %d\n", status);
    tasklet_host_free(host);
    return 0;
}

int main(void)
{
    for (size_t i = 0; i < sizeof scripts / sizeof scripts[0]; i++) {
        if (run(scripts[i].name, scripts[i].text) < 0) return 1;
    }
    return 0;
}
