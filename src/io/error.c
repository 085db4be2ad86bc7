/* Names of errors: see error.h. */
#include "io/error.h"

#include <string.h>
#include <uv.h>

/* The system has more errors than libuv knows. */
static const char *or_else(const char *text, const char *other)
{
    return other != NULL && strncmp(text, "Unknown system error", 20) == 0 ? other : text;
}

const char *tk_io_name(int error, char *text, size_t size)
{
    switch (error) {
    case TK_IO_TIMEOUT:
        return "timeout";
    case TK_IO_CLOSED:
        return "closed";
    case TK_IO_TLS:
        return "tls";
    default:
        return or_else(uv_err_name_r(error, text, size), strerrorname_np(-error));
    }
}

const char *tk_io_text(int error, char *text, size_t size)
{
    switch (error) {
    case TK_IO_TIMEOUT:
        return "timeout";
    case TK_IO_CLOSED:
        return "closed";
    case TK_IO_TLS:
        return "TLS has failed";
    default:
        return or_else(uv_strerror_r(error, text, size), strerrordesc_np(-error));
    }
}
