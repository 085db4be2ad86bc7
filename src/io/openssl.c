/*
 * The table of OpenSSL's functions: see openssl.h. It is filled once a process and never given
 * back: the library cannot be unloaded.
 */
#include "io/openssl.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>

static struct tk_openssl table;
static char failure[128];
static pthread_once_t once = PTHREAD_ONCE_INIT;

/* As POSIX would have it: a data pointer that is one to a function. */
static void *find(void *library, const char *name)
{
    void *function = dlsym(library, name);

    if (function == NULL && failure[0] == '\0') {
        snprintf(failure, sizeof failure, "OpenSSL has no %s", name);
    }
    return function;
}

static void load(void)
{
    void *library = dlopen("libssl.so.3", RTLD_NOW | RTLD_LOCAL);

    if (library == NULL) {
        snprintf(failure, sizeof failure, "no OpenSSL: %s", dlerror());
        return;
    }
#define FILL(name) *(void **)&table.name = find(library, #name);
    TK_OPENSSL_FUNCTIONS(FILL)
#undef FILL
}

const struct tk_openssl *tk_openssl(char *reason, size_t size)
{
    pthread_once(&once, load);
    if (failure[0] != '\0') {
        snprintf(reason, size, "%s", failure);
        return NULL;
    }
    return &table;
}
