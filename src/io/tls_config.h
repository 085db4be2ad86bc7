/* What tls.c and tls_config.c share. */
#ifndef TK_IO_TLS_CONFIG_H
#define TK_IO_TLS_CONFIG_H

#include "io/openssl.h"
#include "io/tls.h"

/* Sessions that one configuration remembers. */
#define TK_TLS_SESSIONS 64

struct tk_tls_session {
    char *peer;
    SSL_SESSION *session;
};

struct tk_tls_config {
    const struct tk_openssl *ssl;
    SSL_CTX *context;
    unsigned uses;
    bool server;
    unsigned char *alpn;
    unsigned alpn_length;
    struct tk_tls_session sessions[TK_TLS_SESSIONS];
    unsigned next; /* place to be used when all are */
};

/* What a connection's data at place 0 is: whom its sessions are kept for. */
struct tk_tls_peer {
    struct tk_tls_config *config;
    char *name; /* NULL: nobody */
};

/* Has a client's connection resume the last session with its peer, if there is one. */
void tk_tls_resume(const struct tk_tls_peer *peer, SSL *connection);

/* The oldest error of OpenSSL's, for people, behind `what`. */
void tk_tls_explain(const struct tk_openssl *ssl, const char *what, char *reason, size_t size);

#endif
