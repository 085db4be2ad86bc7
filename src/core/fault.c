/* Faults: texts for failed calls. Owns nothing; never allocates, so that being out of memory can be
 * told. */
#include "core/fault.h"

#include <stdarg.h>
#include <stdio.h>

int tk_fault_set(struct tk_fault *fault, int code, const char *format, ...)
{
    va_list ap;

    fault->code = code;
    fault->arg = 0;
    va_start(ap, format);
    vsnprintf(fault->text, sizeof fault->text, format, ap);
    va_end(ap);
    return code;
}

int tk_fault_memory(struct tk_fault *fault)
{
    return tk_fault_set(fault, TK_ENOMEM, "not enough memory");
}
