/* Names of errors: see error.h. */
#include "io/error.h"

#include <uv.h>

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
        return uv_err_name_r(error, text, size); /* "Unknown system error -999" if there is none */
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
        return uv_strerror_r(error, text, size);
    }
}
