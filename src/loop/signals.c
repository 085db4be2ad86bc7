/* The operating system's signals: see signals.h. Owns one uv_signal_t a signal that is waited for.
 */
#include "loop/signals.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name;
    int number;
} known[] = {
    {"SIGABRT", SIGABRT},     {"SIGALRM", SIGALRM},   {"SIGBUS", SIGBUS},   {"SIGCHLD", SIGCHLD},
    {"SIGCONT", SIGCONT},     {"SIGFPE", SIGFPE},     {"SIGHUP", SIGHUP},   {"SIGILL", SIGILL},
    {"SIGINT", SIGINT},       {"SIGIO", SIGIO},       {"SIGPIPE", SIGPIPE}, {"SIGPROF", SIGPROF},
    {"SIGPWR", SIGPWR},       {"SIGQUIT", SIGQUIT},   {"SIGSEGV", SIGSEGV}, {"SIGSYS", SIGSYS},
    {"SIGTERM", SIGTERM},     {"SIGTRAP", SIGTRAP},   {"SIGTSTP", SIGTSTP}, {"SIGTTIN", SIGTTIN},
    {"SIGTTOU", SIGTTOU},     {"SIGURG", SIGURG},     {"SIGUSR1", SIGUSR1}, {"SIGUSR2", SIGUSR2},
    {"SIGVTALRM", SIGVTALRM}, {"SIGWINCH", SIGWINCH}, {"SIGXCPU", SIGXCPU}, {"SIGXFSZ", SIGXFSZ},
};
#define KNOWN (sizeof known / sizeof known[0])

/* What a signal did before it was watched: libuv would leave the default. The process's, as signals
 * are; its loops may be in several threads. */
static struct {
    unsigned watches;
    struct sigaction action;
} before[KNOWN];
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

struct watched {
    uv_signal_t handle;
    struct tk_loop *loop;
    struct tk_topic *topic;
};

struct tk_signals {
    struct tk_source source;
    struct tk_loop *loop;
    struct watched *watched[KNOWN];
};

static void on_signal(uv_signal_t *handle, int number)
{
    struct watched *watched = tk_container_of(handle, struct watched, handle);
    struct tk_list *node, *next;

    (void)number;
    if (watched->topic == NULL) {
        return;
    }
    for (node = watched->topic->waits.next; node != &watched->topic->waits; node = next) {
        next = node->next;
        tk_wait_fire(&tk_container_of(node, struct tk_signal_wait, node)->wait,
                     &watched->loop->sched, NULL);
    }
}

static void on_closed(uv_handle_t *handle)
{
    struct watched *watched = tk_container_of((uv_signal_t *)handle, struct watched, handle);

    tk_loop_closed(watched->loop);
    free(watched);
}

/* 0 or a code of libuv's. */
static int start(struct watched *watched, int which)
{
    struct sigaction *action = &before[which].action, now;
    int number = known[which].number, rc;

    pthread_mutex_lock(&mutex);
    if (before[which].watches == 0) {
        sigaction(number, NULL, action);
    }
    rc = uv_signal_start(&watched->handle, on_signal, number);
    if (rc == 0 && before[which].watches++ == 0) {
        sigaction(number, NULL, &now);
        if (now.sa_handler == action->sa_handler) { /* somebody else's handle was first */
            action->sa_handler = SIG_DFL;
        }
    }
    pthread_mutex_unlock(&mutex);
    return rc;
}

/* The signal does what it did before, unless somebody else has a handle for it. */
static void stop(struct watched *watched, int which)
{
    struct sigaction now;

    pthread_mutex_lock(&mutex);
    uv_signal_stop(&watched->handle);
    sigaction(known[which].number, NULL, &now);
    if (--before[which].watches == 0 && now.sa_handler == SIG_DFL) {
        sigaction(known[which].number, &before[which].action, NULL);
    }
    pthread_mutex_unlock(&mutex);
}

static void unwatch(struct watched *watched)
{
    stop(watched, watched->topic->number);
    watched->topic = NULL;
    uv_close((uv_handle_t *)&watched->handle, on_closed);
}

static int watch(struct tk_signals *signals, struct tk_topic *topic, struct tk_fault *fault)
{
    struct watched *watched = calloc(1, sizeof *watched);
    int rc;

    if (watched == NULL) {
        return tk_fault_memory(fault);
    }
    watched->loop = signals->loop;
    watched->topic = topic;
    rc = uv_signal_init(signals->loop->uv, &watched->handle);
    if (rc < 0) {
        free(watched);
        return tk_fault_set(fault, TK_ESYS, "cannot watch %s: %s", topic->name->text,
                            uv_strerror(rc));
    }
    watched->handle.data = NULL;
    tk_loop_opened(signals->loop);
    uv_unref((uv_handle_t *)&watched->handle);
    rc = start(watched, topic->number);
    if (rc < 0) {
        watched->topic = NULL;
        uv_close((uv_handle_t *)&watched->handle, on_closed);
        return tk_fault_set(fault, TK_ESYS, "cannot watch %s: %s", topic->name->text,
                            uv_strerror(rc));
    }
    signals->watched[topic->number] = watched;
    return 0;
}

static int listen_for(struct tk_source *source, struct tk_topic *topic, bool on,
                      struct tk_fault *fault)
{
    struct tk_signals *signals = tk_container_of(source, struct tk_signals, source);

    if (on) {
        return watch(signals, topic, fault);
    }
    if (signals->watched[topic->number] != NULL) {
        unwatch(signals->watched[topic->number]);
        signals->watched[topic->number] = NULL;
    }
    return 0;
}

struct tk_source *tk_signals_source(struct tk_loop *loop)
{
    struct tk_signals *signals = loop->signals;

    if (signals != NULL) {
        return &signals->source;
    }
    signals = calloc(1, sizeof *signals);
    if (signals == NULL) {
        return NULL;
    }
    tk_source_init(&signals->source, NULL);
    signals->source.listen = listen_for;
    signals->loop = loop;
    for (size_t i = 0; i < KNOWN; i++) {
        struct tk_topic *topic =
            tk_source_declare(&signals->source, &loop->sched, known[i].name, strlen(known[i].name));

        if (topic == NULL) {
            tk_source_finish(&signals->source, &loop->sched);
            free(signals);
            return NULL;
        }
        topic->number = (int)i;
    }
    loop->signals = signals;
    return &signals->source;
}

bool tk_signals_watched(const struct tk_loop *loop)
{
    for (size_t i = 0; loop->signals != NULL && i < KNOWN; i++) {
        if (loop->signals->watched[i] != NULL) {
            return true;
        }
    }
    return false;
}

bool tk_signals_is_own(const struct tk_loop *loop, const uv_handle_t *handle)
{
    for (size_t i = 0; loop->signals != NULL && i < KNOWN; i++) {
        if (handle == (const uv_handle_t *)loop->signals->watched[i]) {
            return true;
        }
    }
    return false;
}

void tk_signals_close(struct tk_loop *loop)
{
    struct tk_signals *signals = loop->signals;

    if (signals == NULL) {
        return;
    }
    tk_source_finish(&signals->source, &loop->sched);
    loop->signals = NULL;
    free(signals);
}
