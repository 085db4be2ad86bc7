/*
 * values.c - values between C and Lua: a configuration that is a script. The program gives it a
 * table of what it knows, reads the table that it returns, and keeps a function of it for later.
 */
#include <stdio.h>
#include <stdlib.h>
#include <tasklet.h>

static const char script[] =
    "local program = ...\n"
    "return {\n"
    "    listen = {'127.0.0.1:' .. program.port, '[::1]:' .. program.port},\n"
    "    workers = program.cores * 2,\n"
    "    verbose = false,\n"
    "    allow = function(name) return name ~= 'mallory', 'asked for ' .. name end,\n"
    "}\n";

static struct tasklet_host *host;

/* What cannot go wrong but for lack of memory. */
static void check(int rc)
{
    if (rc < 0) {
        fprintf(stderr, "values: %s\n", tasklet_host_error(host));
        exit(1);
    }
}

static void set(const struct tasklet_value *table, const char *name, struct tasklet_value value)
{
    struct tasklet_value key = tasklet_string(name);

    check(tasklet_table_set(host, table, &key, &value));
}

static struct tasklet_value get(const struct tasklet_value *table, const char *name)
{
    struct tasklet_value key = tasklet_string(name), value;

    check(tasklet_table_get(host, table, &key, &value));
    return value;
}

/* The list and whatever else is in a table are walked; the order is Lua's. */
static int count(const struct tasklet_value *table)
{
    struct tasklet_value key = tasklet_nil(), value;
    int rc, entries = 0;

    while ((rc = tasklet_table_next(host, table, &key, &value)) > 0)
        entries++;
    check(rc);
    return entries;
}

static void print_list(const struct tasklet_value *list)
{
    long long length = tasklet_table_length(host, list);

    for (long long i = 1; i <= length; i++) {
        struct tasklet_value key = tasklet_integer(i), value;

        check(tasklet_table_get(host, list, &key, &value));
        printf("listen on %s\n", value.as.bytes); /* borrowed until the next value is given */
    }
}

static void ask(const struct tasklet_value *function, const char *name)
{
    struct tasklet_value arg = tasklet_string(name), results[2];

    check(tasklet_invoke(host, function, &arg, 1, results, 2));
    printf("%s: %s (%s)\n", name, results[0].as.boolean ? "allowed" : "refused",
           results[1].as.bytes);
}

int main(void)
{
    struct tasklet_value function, program, config, list, allow;

    if (tasklet_host_new(NULL, &host) < 0) return 1;
    check(tasklet_load_string(host, script, "@config.lua", &function));
    check(tasklet_table_new(host, &program));
    set(&program, "port", tasklet_integer(8080));
    set(&program, "cores", tasklet_integer(4));
    check(tasklet_invoke(host, &function, &program, 1, &config, 1));
    tasklet_release(host, &function);
    tasklet_release(host, &program);

    printf("%d entries\n", count(&config));
    list = get(&config, "listen"); /* a reference: owned */
    print_list(&list);
    tasklet_release(host, &list);
    printf("%lld workers\n", get(&config, "workers").as.integer);
    printf("verbose: %d\n", get(&config, "verbose").as.boolean);
    printf("missing: %s\n", get(&config, "missing").type == TASKLET_NIL ? "nil" : "something");
    allow = get(&config, "allow");
    tasklet_release(host, &config); /* the function is kept for itself */
    ask(&allow, "alice");
    ask(&allow, "mallory");
    tasklet_release(host, &allow);
    tasklet_host_free(host);
    return 0;
}
