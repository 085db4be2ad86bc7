/*
 * A fault: why a call failed, for people. The caller owns the struct; the callee fills it only when
 * it returns a negative code.
 */
#ifndef TK_CORE_FAULT_H
#define TK_CORE_FAULT_H

#include <stddef.h>

enum tk_code {
    TK_ENOMEM = -1, /* no memory */
    TK_EINVAL = -2, /* a wrong argument */
    TK_ESYS = -3,   /* the operating system refused */
    TK_ESTATE = -4, /* a right argument in a wrong state */
};

struct tk_fault {
    int code;
    int arg; /* of a call with arguments: which one was wrong, from 0 */
    char text[160];
};

/* Writes the text and returns `code`, so that a failing path is one line. */
int tk_fault_set(struct tk_fault *fault, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The fault of being out of memory. */
int tk_fault_memory(struct tk_fault *fault);

#endif
