/* What the tests of tasklet.h without lua.h share: scripts and values in short. */
#ifndef TK_EMBED_SCRIPT_H
#define TK_EMBED_SCRIPT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tasklet.h"

static inline struct tasklet_host *new_host(void)
{
    struct tasklet_host *host = NULL;

    assert_int_equal(tasklet_host_new(NULL, &host), 0);
    return host;
}

/* A function, owned. */
static inline struct tasklet_value function_of(struct tasklet_host *host, const char *text)
{
    struct tasklet_value function;

    if (tasklet_load_string(host, text, "=script", &function) < 0) {
        fail_msg("%s", tasklet_host_error(host));
    }
    assert_int_equal(function.type, TASKLET_FUNCTION);
    return function;
}

/* The first result of a script that is called. */
static inline struct tasklet_value eval(struct tasklet_host *host, const char *text)
{
    struct tasklet_value function = function_of(host, text), result;

    if (tasklet_invoke(host, &function, NULL, 0, &result, 1) < 0) {
        fail_msg("%s", tasklet_host_error(host));
    }
    tasklet_release(host, &function);
    return result;
}

/* Calls a script for what it does. */
static inline void perform(struct tasklet_host *host, const char *text)
{
    struct tasklet_value result = eval(host, text);

    tasklet_release(host, &result);
}

/* A tasklet whose body is the script; the reference is owned. `options`: NULL is fine. */
static inline struct tasklet *started(struct tasklet_host *host, const char *text,
                                      const struct tasklet_start_options *options)
{
    struct tasklet_value function = function_of(host, text);
    struct tasklet *t = NULL;

    if (tasklet_start(host, options, &function, NULL, 0, &t) < 0) {
        fail_msg("%s", tasklet_host_error(host));
    }
    tasklet_release(host, &function);
    return t;
}

/* The same where nobody looks at it. */
static inline void begin(struct tasklet_host *host, const char *text)
{
    tasklet_drop(started(host, text, NULL));
}

static inline long long integer_of(struct tasklet_host *host, const char *text)
{
    struct tasklet_value value = eval(host, text);

    assert_int_equal(value.type, TASKLET_INTEGER);
    return value.as.integer;
}

/* Is it that string? The zero behind it is looked at, too. */
static inline void assert_bytes(const struct tasklet_value *value, const char *bytes, size_t length)
{
    assert_int_equal(value->type, TASKLET_STRING);
    assert_int_equal(value->length, length);
    assert_memory_equal(value->as.bytes, bytes, length);
    assert_int_equal(value->as.bytes[length], 0);
}

static inline void assert_text(const struct tasklet_value *value, const char *text)
{
    assert_int_equal(value->type, TASKLET_STRING);
    assert_string_equal(value->as.bytes, text);
    assert_int_equal(value->length, strlen(text));
}

/* The global variable of that name is that text. */
static inline void assert_global(struct tasklet_host *host, const char *name, const char *text)
{
    struct tasklet_value value;

    assert_int_equal(tasklet_global_get(host, name, &value), 0);
    assert_text(&value, text);
}

/* The last error's text has that in it. */
static inline void assert_error(struct tasklet_host *host, const char *part)
{
    if (strstr(tasklet_host_error(host), part) == NULL) {
        fail_msg("'%s' is not in '%s'", part, tasklet_host_error(host));
    }
}

#endif
