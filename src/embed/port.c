/*
 * Ports: the way into a host from other threads. See traffic.h.
 *
 * A host has one port, however often one is asked for. Its memory is counted: the host has it,
 * whoever holds it, and each call that waits to be completed. The lock is for nothing but the wake
 * of the loop, which must be there for that; it is taken by who finds the stack empty.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "embed/embed.h"
#include "embed/traffic.h"

/* Parcels that are opened in one turn of the loop. */
#define TURN_PARCELS 4096

struct tasklet_port {
    atomic_size_t uses;               /* of this memory */
    atomic_size_t held;               /* by the program */
    _Atomic(struct tk_parcel *) last; /* that was put; NULL: none; CLOSED: the host has gone */
    pthread_mutex_t mutex;
    struct tasklet_host *host; /* under the mutex; NULL: gone */
};

/* An address that no parcel has; never read nor written. */
static const struct tk_parcel nothing;
#define CLOSED ((struct tk_parcel *)&nothing)

static struct tk_traffic *traffic_of(const struct tasklet_host *host)
{
    return &host->embed->traffic;
}

/* ---- the port ---- */

static struct tasklet_port *port_new(struct tasklet_host *host)
{
    struct tasklet_port *port = calloc(1, sizeof *port);

    if (port == NULL) {
        return NULL;
    }
    if (pthread_mutex_init(&port->mutex, NULL) != 0) {
        free(port);
        return NULL;
    }
    atomic_init(&port->uses, 1);
    atomic_init(&port->held, 0);
    atomic_init(&port->last, NULL);
    port->host = host;
    return port;
}

struct tasklet_port *tk_port_take(struct tasklet_host *host)
{
    struct tk_traffic *traffic = traffic_of(host);

    if (traffic->port == NULL) {
        traffic->port = port_new(host);
    }
    if (traffic->port != NULL) {
        atomic_fetch_add_explicit(&traffic->port->uses, 1, memory_order_relaxed);
    }
    return traffic->port;
}

void tk_port_release(struct tasklet_port *port)
{
    if (atomic_fetch_sub_explicit(&port->uses, 1, memory_order_acq_rel) == 1) {
        pthread_mutex_destroy(&port->mutex);
        free(port);
    }
}

/* Under the lock the host cannot go: it closes its port first. */
static void wake(struct tasklet_port *port)
{
    pthread_mutex_lock(&port->mutex);
    if (port->host != NULL) {
        tk_loop_wake(&port->host->loop);
    }
    pthread_mutex_unlock(&port->mutex);
}

bool tk_port_put(struct tasklet_port *port, struct tk_parcel *parcel)
{
    struct tk_parcel *last = atomic_load_explicit(&port->last, memory_order_acquire);

    do {
        if (last == CLOSED) {
            return false;
        }
        parcel->next = last;
    } while (!atomic_compare_exchange_weak_explicit(&port->last, &last, parcel,
                                                    memory_order_acq_rel, memory_order_acquire));
    if (last == NULL) {
        wake(port);
    }
    return true;
}

struct tasklet_port *tasklet_port_new(struct tasklet_host *host)
{
    struct tasklet_port *port = tk_check_alive(host) < 0 ? NULL : tk_port_take(host);

    if (port != NULL) {
        atomic_fetch_add(&port->held, 1);
    }
    return port;
}

struct tasklet_port *tasklet_port_hold(struct tasklet_port *port)
{
    atomic_fetch_add(&port->held, 1);
    atomic_fetch_add_explicit(&port->uses, 1, memory_order_relaxed);
    return port;
}

void tasklet_port_drop(struct tasklet_port *port)
{
    if (port == NULL) {
        return;
    }
    if (atomic_fetch_sub(&port->held, 1) == 1) {
        wake(port); /* those who wait may do so for nothing now */
    }
    tk_port_release(port);
}

bool tk_traffic_reachable(const struct tasklet_host *host)
{
    const struct tk_traffic *traffic = traffic_of(host);
    const struct tasklet_port *port = traffic->port;

    if (!tk_list_empty(&traffic->answered) || !tk_list_empty(&traffic->left)) {
        return true; /* the program has yet to be told, and may do something then */
    }
    /* In this order: who has let go of it has sent before. */
    return port != NULL && (atomic_load(&port->held) > 0 || atomic_load(&port->last) != NULL ||
                            traffic->come != NULL);
}

/* ---- what comes ---- */

static struct tk_parcel *turn_round(struct tk_parcel *last)
{
    struct tk_parcel *first = NULL;

    while (last != NULL) {
        struct tk_parcel *next = last->next;

        last->next = first;
        first = last;
        last = next;
    }
    return first;
}

/*
 * A bounded number of them, so that those who send without end starve nobody. What has been put
 * meanwhile waits for the next turn: to look at the stack again and again would only slow down
 * those who put something onto it.
 */
void tk_traffic_come(struct tasklet_host *host)
{
    struct tk_traffic *traffic = traffic_of(host);
    bool left = traffic->come != NULL; /* of the last turn: this one does not look at the stack */

    if (traffic->port == NULL) {
        return;
    }
    if (!left) {
        traffic->come =
            turn_round(atomic_exchange_explicit(&traffic->port->last, NULL, memory_order_acq_rel));
    }
    for (int i = 0; i < TURN_PARCELS && !host->freeing && traffic->come != NULL; i++) {
        struct tk_parcel *parcel = traffic->come;

        traffic->come = parcel->next;
        parcel->kind->open(host, parcel);
    }
    if (traffic->come != NULL || (left && atomic_load(&traffic->port->last) != NULL)) {
        tk_loop_wake(&host->loop); /* whoever has put something has done so, but that was earlier */
    }
}

void tk_traffic_init(struct tk_traffic *traffic)
{
    tk_list_init(&traffic->answered);
    tk_list_init(&traffic->pendings);
    tk_list_init(&traffic->left);
    tk_list_init(&traffic->functions);
    tk_list_init(&traffic->kinds);
    tk_list_init(&traffic->conditions);
}

void tk_traffic_tell(struct tasklet_host *host)
{
    tk_asks_tell(host);
    tk_pendings_tell(host);
}

static void close_port(struct tk_traffic *traffic)
{
    struct tasklet_port *port = traffic->port;
    struct tk_parcel *lists[2] = {traffic->come, NULL};

    traffic->come = NULL;
    traffic->port = NULL;
    if (port != NULL) {
        lists[1] = turn_round(atomic_exchange_explicit(&port->last, CLOSED, memory_order_acq_rel));
        pthread_mutex_lock(&port->mutex);
        port->host = NULL;
        pthread_mutex_unlock(&port->mutex);
    }
    for (int i = 0; i < 2; i++) {
        while (lists[i] != NULL) {
            struct tk_parcel *parcel = lists[i];

            lists[i] = parcel->next;
            parcel->kind->lose(parcel);
        }
    }
    if (port != NULL) {
        tk_port_release(port);
    }
}

void tk_traffic_close(struct tasklet_host *host)
{
    tk_asks_close(host);
    tk_pendings_close(host);
    close_port(traffic_of(host));
    tk_conditions_close(host);
    tk_functions_close(host);
}

/* ---- values on their way ---- */

size_t tk_values_size(const struct tasklet_value *values, int count)
{
    size_t size = 0;

    for (int i = 0; i < count; i++) {
        if (values[i].type < TASKLET_NIL || values[i].type > TASKLET_POINTER ||
            (values[i].type == TASKLET_STRING && values[i].as.bytes == NULL &&
             values[i].length > 0)) {
            return SIZE_MAX;
        }
        size += values[i].type == TASKLET_STRING ? values[i].length : 0;
    }
    return size;
}

void tk_values_copy(struct tasklet_value *to, const struct tasklet_value *values, int count,
                    char *bytes)
{
    for (int i = 0; i < count; i++) {
        to[i] = values[i];
        if (values[i].type == TASKLET_STRING) {
            to[i].as.bytes = bytes;
            if (values[i].length > 0) {
                memcpy(bytes, values[i].as.bytes, values[i].length);
            }
            bytes += values[i].length;
        }
    }
}

/* ---- posts ---- */

struct post {
    struct tk_parcel parcel;
    unsigned long long id;
    struct tk_ask *ask; /* NULL: none */
    struct tasklet_value value;
    size_t length; /* of the name */
    char name[];   /* then the value's bytes */
};

static void tell_lost(struct tasklet_host *host, const struct post *post)
{
    static const char format[] = "a message '%.*s' from another thread is lost: %s";
    const char *why = tasklet_host_error(host);
    char text[300];

    snprintf(text, sizeof text, format, (int)(post->length < 100 ? post->length : 100), post->name,
             why);
    host->bind->hooks->error(host->bind->context, text);
}

static void open_post(struct tasklet_host *host, struct tk_parcel *parcel)
{
    struct post *post = tk_container_of(parcel, struct post, parcel);
    struct tk_letter letter = {
        .host = host,
        .id = post->id,
        .name = post->name,
        .length = post->length,
        .value = &post->value,
        .room = tk_nobody,
        .ask = post->ask,
    };
    int rc = tk_letter_send(&letter);

    if (rc < 0 && post->ask != NULL) {
        tk_ask_refused(host, post->ask, rc);
    } else if (rc < 0 && rc != TASKLET_EENDED) {
        tell_lost(host, post);
    }
    free(post);
}

static void lose_post(struct tk_parcel *parcel)
{
    struct post *post = tk_container_of(parcel, struct post, parcel);

    if (post->ask != NULL) {
        tk_ask_lost(post->ask);
    }
    free(post);
}

static const struct tk_parcel_kind post_kind = {open_post, lose_post};

/* Takes the ask if it returns 0. */
static int send_post(struct tasklet_port *port, unsigned long long id, const char *name,
                     const struct tasklet_value *value, struct tk_ask *ask)
{
    static const struct tasklet_value nil = {TASKLET_NIL, {0}, 0};
    size_t length = strlen(name), size;
    struct post *post;

    if (value == NULL) {
        value = &nil;
    }
    size = tk_values_size(value, 1);
    if (size == SIZE_MAX) {
        return TASKLET_EINVAL;
    }
    post = malloc(sizeof *post + length + size);
    if (post == NULL) {
        return TASKLET_ENOMEM;
    }
    post->parcel.kind = &post_kind;
    post->id = id;
    post->ask = ask;
    post->length = length;
    memcpy(post->name, name, length);
    tk_values_copy(&post->value, value, 1, post->name + length);
    if (!tk_port_put(port, &post->parcel)) {
        free(post);
        return TASKLET_ECLOSED;
    }
    return 0;
}

int tasklet_post(struct tasklet_port *port, unsigned long long id, const char *name,
                 const struct tasklet_value *value)
{
    return name == NULL ? TASKLET_EINVAL : send_post(port, id, name, value, NULL);
}

int tasklet_post_ask(struct tasklet_port *port, unsigned long long id, const char *name,
                     const struct tasklet_value *value, double seconds, tasklet_reply on_reply,
                     void *context)
{
    struct tk_ask *ask;
    int rc;

    if (name == NULL || on_reply == NULL || seconds != seconds) {
        return TASKLET_EINVAL;
    }
    ask = tk_ask_new(seconds, on_reply, context);
    if (ask == NULL) {
        return TASKLET_ENOMEM;
    }
    rc = send_post(port, id, name, value, ask);
    if (rc < 0) {
        tk_ask_free(ask);
    }
    return rc;
}

/* ---- calls ---- */

struct call {
    struct tk_parcel parcel;
    void (*function)(void *context, struct tasklet_host *host);
    void *context;
};

static void open_call(struct tasklet_host *host, struct tk_parcel *parcel)
{
    struct call call = *tk_container_of(parcel, struct call, parcel);

    free(tk_container_of(parcel, struct call, parcel));
    call.function(call.context, host);
}

static void lose_call(struct tk_parcel *parcel)
{
    open_call(NULL, parcel);
}

static const struct tk_parcel_kind call_kind = {open_call, lose_call};

int tasklet_port_call(struct tasklet_port *port,
                      void (*function)(void *context, struct tasklet_host *host), void *context)
{
    struct call *call;

    if (function == NULL) {
        return TASKLET_EINVAL;
    }
    call = malloc(sizeof *call);
    if (call == NULL) {
        return TASKLET_ENOMEM;
    }
    call->parcel.kind = &call_kind;
    call->function = function;
    call->context = context;
    if (!tk_port_put(port, &call->parcel)) {
        free(call);
        return TASKLET_ECLOSED;
    }
    return 0;
}
