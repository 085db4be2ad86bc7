/*
 * The watchdog: see watchdog.h. A POSIX timer for each, whose signal goes to the watched thread
 * alone. The handler finds its watchdog by a number, so that a signal that comes after the end of a
 * watchdog finds nothing.
 */
#include "loop/watchdog.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MOST 256 /* watchdogs in a process */
#define WATCHDOG_SIGNAL (SIGRTMAX - 2)
#define TICKS 4 /* in a slice: it is late by a fourth at most */

#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid
#endif

static _Atomic(struct tk_watchdog *) dogs[MOST];
static struct sigaction previous;
static int handler_error;
static pthread_once_t installed = PTHREAD_ONCE_INIT;

static void set_timer(struct tk_watchdog *dog, uint64_t period)
{
    struct itimerspec when = {.it_value = {.tv_sec = (time_t)(period / 1000000000),
                                           .tv_nsec = (long)(period % 1000000000)}};

    when.it_interval = when.it_value;
    timer_settime(dog->timer, 0, &when, NULL);
}

static void look(struct tk_watchdog *dog)
{
    if (!dog->on || dog->busy <= 0) {
        set_timer(dog, 0);
        dog->ticking = 0;
        dog->late = 0;
        return;
    }
    if (dog->seen != *dog->count) {
        dog->seen = *dog->count;
        dog->late = 0;
    } else if (++dog->late >= TICKS) {
        dog->bark(dog->context);
    }
}

static void on_signal(int number, siginfo_t *info, void *ucontext)
{
    int before = errno;
    int place = info->si_value.sival_int;

    if (info->si_code == SI_TIMER && place >= 0 && place < MOST) {
        struct tk_watchdog *dog = atomic_load(&dogs[place]);

        if (dog != NULL) {
            look(dog);
        }
    } else if ((previous.sa_flags & SA_SIGINFO) != 0) {
        previous.sa_sigaction(number, info, ucontext);
    } else if (previous.sa_handler != SIG_DFL && previous.sa_handler != SIG_IGN) {
        previous.sa_handler(number);
    }
    errno = before;
}

static void install(void)
{
    struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_RESTART};

    sigemptyset(&action.sa_mask);
    handler_error = sigaction(WATCHDOG_SIGNAL, &action, &previous) < 0 ? errno : 0;
}

int tk_watchdog_start(struct tk_watchdog *dog, uint64_t slice, volatile unsigned *count,
                      void (*bark)(void *context), void *context)
{
    struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = WATCHDOG_SIGNAL};
    struct tk_watchdog *none = NULL;

    dog->tick = slice / TICKS > 0 ? slice / TICKS : 1;
    dog->count = count;
    dog->bark = bark;
    dog->context = context;
    if (!dog->on) {
        pthread_once(&installed, install);
        if (handler_error != 0) {
            return -handler_error;
        }
        for (dog->place = 0; dog->place < MOST; dog->place++) {
            none = NULL;
            if (atomic_compare_exchange_strong(&dogs[dog->place], &none, dog)) {
                break;
            }
        }
        if (dog->place == MOST) {
            return -EAGAIN;
        }
        event.sigev_value.sival_int = dog->place;
        event.sigev_notify_thread_id = (int)syscall(SYS_gettid);
        if (timer_create(CLOCK_MONOTONIC, &event, &dog->timer) < 0) {
            int error = errno;

            atomic_store(&dogs[dog->place], NULL);
            return -error;
        }
        dog->on = true;
    }
    dog->ticking = 0;
    if (dog->busy > 0) {
        tk_watchdog_kick(dog);
    }
    return 0;
}

void tk_watchdog_stop(struct tk_watchdog *dog)
{
    if (dog->on) {
        dog->on = false;
        atomic_store(&dogs[dog->place], NULL);
        timer_delete(dog->timer);
        dog->ticking = 0;
    }
}

void tk_watchdog_kick(struct tk_watchdog *dog)
{
    dog->ticking = 1;
    dog->late = 0;
    set_timer(dog, dog->tick);
}
