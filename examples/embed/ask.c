/*
 * ask.c - the program asks and a script answers: a policy that is written in Lua. Each question is
 * a message; the script may wait, ask others and answer in any order. The program is told exactly
 * once for each: the answer, or that there was none in time, or nobody left to give it.
 */
#include <stdio.h>
#include <tasklet.h>

static const char script[] = "local tasklet = require 'tasklet'\n"
                             "local function decide(message)\n"
                             "    local name = message.value\n"
                             "    if name == 'mallory' then\n"
                             "        tasklet.sleep(0.01) -- as if it had to look that up\n"
                             "        message:reply(false)\n"
                             "    elseif name ~= 'trent' then -- of him it has no opinion\n"
                             "        message:reply('welcome, ' .. name)\n"
                             "    end\n"
                             "end\n"
                             "for message in tasklet.receive() do\n"
                             "    if message.name == 'end' then break end\n"
                             "    tasklet.new(decide, {daemon = true})(message)\n"
                             "end\n"
                             "print('the script ends')\n";

static struct tasklet *policy;
static int open_questions = 3;

static void told(void *context, int status, const struct tasklet_value *value)
{
    const char *name = context;

    if (status < 0) {
        printf("%s: %s\n", name, tasklet_strerror(status));
    } else if (value->type == TASKLET_STRING) {
        printf("%s: %s\n", name, value->as.bytes);
    } else {
        printf("%s: no\n", name);
    }
    if (--open_questions == 0) tasklet_send(policy, "end", NULL);
}

static int ask(char *name, double seconds)
{
    struct tasklet_value value = tasklet_string(name);

    return tasklet_ask(policy, "may enter?", &value, seconds, told, name);
}

int main(void)
{
    char alice[] = "alice", mallory[] = "mallory", trent[] = "trent", bob[] = "bob";
    struct tasklet_options options;
    struct tasklet_value function;
    struct tasklet_host *host;
    int status;

    tasklet_options_init(&options);
    options.virtual_time = 1; /* so that this takes no time */
    if (tasklet_host_new(&options, &host) < 0) return 1;
    if (tasklet_load_string(host, script, "=ask", &function) < 0 ||
        tasklet_start(host, NULL, &function, NULL, 0, &policy) < 0 || ask(mallory, 5) < 0 ||
        ask(alice, -1) < 0 || ask(trent, 0.5) < 0) {
        fprintf(stderr, "ask: %s\n", tasklet_host_error(host));
        return 1;
    }
    tasklet_release(host, &function);
    status = tasklet_host_run(host);
    if (ask(bob, 1) < 0) printf("bob: %s\n", tasklet_host_error(host));
    tasklet_drop(policy);
    tasklet_host_free(host);
    return status;
}
