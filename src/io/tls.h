/*
 * TLS as a carrier between a stream and the one that brings its bytes, by OpenSSL.
 */
#ifndef TK_IO_TLS_H
#define TK_IO_TLS_H

#include "io/stream.h"

/* What connections have in common: certificates, how a peer is verified, sessions to be resumed. */
struct tk_tls_config;

struct tk_tls_options {
    bool server;
    bool verify;      /* the peer has to have a certificate that is trusted */
    const char *ca;   /* a file of certificates that are trusted; NULL: the system's */
    const char *cert; /* files in PEM's format; NULL: none */
    const char *key;  /* NULL: it is in `cert` */
    const char *alpn; /* names of protocols, each with its length before it, as on the wire */
    size_t alpn_length;
};

/* Makes one that its caller uses; NULL: `reason` says why. */
struct tk_tls_config *tk_tls_config_new(const struct tk_tls_options *options, char *reason,
                                        size_t size);
void tk_tls_config_drop(struct tk_tls_config *config);

/*
 * Has a stream, which is open, speak TLS from now on. `name` is that of the peer, a host or an
 * address: what its certificate has to be for; NULL: any. `session` is what sessions are resumed
 * by, "host:port"; NULL: none is. The handshake begins at once; the stream's gate `opening` opens
 * when it is over. What has been read already and not been asked for belongs to it. 0 or an error.
 */
int tk_tls_start(struct tk_stream *stream, struct tk_tls_config *config, const char *name,
                 const char *session);

struct tk_tls_info {
    const char *version; /* "TLSv1.3", static */
    const char *cipher;  /* static */
    const char *alpn;    /* borrowed; not terminated */
    size_t alpn_length;
    const char *server_name; /* that a client has asked for; borrowed; NULL: none */
    bool resumed;
};

/* Of a stream whose handshake is over; false: it does not speak TLS. */
bool tk_tls_info(const struct tk_stream *stream, struct tk_tls_info *info);

#endif
