/*
 * Configurations of TLS: certificates, how a peer is verified, and the sessions that clients
 * resume.
 */
#include "io/tls_config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void tk_tls_explain(const struct tk_openssl *ssl, const char *what, char *reason, size_t size)
{
    unsigned long code = ssl->ERR_get_error();
    const char *text = code == 0                ? NULL
                       : ERR_SYSTEM_ERROR(code) ? strerror(ERR_GET_REASON(code))
                                                : ssl->ERR_reason_error_string(code);

    snprintf(reason, size, "%s: %s", what, text == NULL ? "TLS error" : text);
    ssl->ERR_clear_error();
}

static int select_alpn(SSL *connection, const unsigned char **out, unsigned char *length,
                       const unsigned char *in, unsigned in_length, void *arg)
{
    const struct tk_tls_config *config = arg;
    unsigned char *selected;

    (void)connection;
    if (config->ssl->SSL_select_next_proto(&selected, length, config->alpn, config->alpn_length, in,
                                           in_length) != OPENSSL_NPN_NEGOTIATED) {
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    }
    *out = selected;
    return SSL_TLSEXT_ERR_OK;
}

static void put_session(struct tk_tls_config *config, const char *peer, SSL_SESSION *session)
{
    struct tk_tls_session *place = NULL;
    char *copy;

    for (size_t i = 0; i < TK_TLS_SESSIONS && place == NULL; i++) {
        if (config->sessions[i].peer == NULL || strcmp(config->sessions[i].peer, peer) == 0) {
            place = &config->sessions[i];
        }
    }
    if (place == NULL) {
        place = &config->sessions[config->next++ % TK_TLS_SESSIONS];
    }
    copy = strdup(peer);
    if (copy == NULL) {
        config->ssl->SSL_SESSION_free(session);
        return;
    }
    free(place->peer);
    config->ssl->SSL_SESSION_free(place->session);
    place->peer = copy;
    place->session = session;
}

/* A ticket has come: it is good for one connection. The caller's reference is taken. */
static int new_session(SSL *connection, SSL_SESSION *session)
{
    char reason[128];
    const struct tk_openssl *ssl = tk_openssl(reason, sizeof reason);
    const struct tk_tls_peer *peer = ssl->SSL_get_ex_data(connection, 0);

    if (peer == NULL || peer->name == NULL) {
        return 0;
    }
    put_session(peer->config, peer->name, session);
    return 1;
}

void tk_tls_resume(const struct tk_tls_peer *peer, SSL *connection)
{
    struct tk_tls_config *config = peer->config;

    for (size_t i = 0; i < TK_TLS_SESSIONS; i++) {
        struct tk_tls_session *place = &config->sessions[i];

        if (place->peer != NULL && strcmp(place->peer, peer->name) == 0 && place->session != NULL) {
            if (config->ssl->SSL_SESSION_is_resumable(place->session)) {
                config->ssl->SSL_set_session(connection, place->session);
            }
            config->ssl->SSL_SESSION_free(place->session);
            place->session = NULL;
            return;
        }
    }
}

/* True, or `reason` says what is wrong with a file. */
static bool load_files(struct tk_tls_config *config, const struct tk_tls_options *options,
                       char *reason, size_t size)
{
    const struct tk_openssl *ssl = config->ssl;
    const char *key = options->key != NULL ? options->key : options->cert;

    if (options->ca != NULL) {
        if (ssl->SSL_CTX_load_verify_file(config->context, options->ca) != 1) {
            tk_tls_explain(ssl, options->ca, reason, size);
            return false;
        }
    } else if (options->verify) {
        ssl->SSL_CTX_set_default_verify_paths(config->context);
    }
    if (options->cert != NULL &&
        ssl->SSL_CTX_use_certificate_chain_file(config->context, options->cert) != 1) {
        tk_tls_explain(ssl, options->cert, reason, size);
        return false;
    }
    if (key != NULL &&
        (ssl->SSL_CTX_use_PrivateKey_file(config->context, key, SSL_FILETYPE_PEM) != 1 ||
         ssl->SSL_CTX_check_private_key(config->context) != 1)) {
        tk_tls_explain(ssl, key, reason, size);
        return false;
    }
    ssl->ERR_clear_error();
    return true;
}

static bool set_alpn(struct tk_tls_config *config, const struct tk_tls_options *options)
{
    if (options->alpn_length == 0) {
        return true;
    }
    config->alpn = malloc(options->alpn_length);
    if (config->alpn == NULL) {
        return false;
    }
    memcpy(config->alpn, options->alpn, options->alpn_length);
    config->alpn_length = (unsigned)options->alpn_length;
    if (options->server) {
        config->ssl->SSL_CTX_set_alpn_select_cb(config->context, select_alpn, config);
    }
    return true;
}

static bool fill(struct tk_tls_config *config, const struct tk_tls_options *options, char *reason,
                 size_t size)
{
    static const unsigned char id[] = "tasklet";
    const struct tk_openssl *ssl = config->ssl;

    config->context =
        ssl->SSL_CTX_new(options->server ? ssl->TLS_server_method() : ssl->TLS_client_method());
    if (config->context == NULL || !set_alpn(config, options)) {
        snprintf(reason, size, "not enough memory");
        return false;
    }
    ssl->SSL_CTX_ctrl(config->context, SSL_CTRL_SET_MIN_PROTO_VERSION, TLS1_2_VERSION, NULL);
    ssl->SSL_CTX_ctrl(config->context, SSL_CTRL_MODE, SSL_MODE_RELEASE_BUFFERS, NULL);
    ssl->SSL_CTX_set_options(config->context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    ssl->SSL_CTX_set_verify(config->context,
                            !options->verify  ? SSL_VERIFY_NONE
                            : options->server ? SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT
                                              : SSL_VERIFY_PEER,
                            NULL);
    if (options->server) {
        ssl->SSL_CTX_set_session_id_context(config->context, id, sizeof id - 1);
    } else {
        ssl->SSL_CTX_ctrl(config->context, SSL_CTRL_SET_SESS_CACHE_MODE,
                          SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL, NULL);
        ssl->SSL_CTX_sess_set_new_cb(config->context, new_session);
    }
    return load_files(config, options, reason, size);
}

struct tk_tls_config *tk_tls_config_new(const struct tk_tls_options *options, char *reason,
                                        size_t size)
{
    const struct tk_openssl *ssl = tk_openssl(reason, size);
    struct tk_tls_config *config;

    if (ssl == NULL) {
        return NULL;
    }
    config = calloc(1, sizeof *config);
    if (config == NULL) {
        snprintf(reason, size, "not enough memory");
        return NULL;
    }
    config->ssl = ssl;
    config->uses = 1;
    config->server = options->server;
    ssl->ERR_clear_error();
    if (!fill(config, options, reason, size)) {
        tk_tls_config_drop(config);
        return NULL;
    }
    return config;
}

void tk_tls_config_drop(struct tk_tls_config *config)
{
    if (config == NULL || --config->uses > 0) {
        return;
    }
    for (size_t i = 0; i < TK_TLS_SESSIONS; i++) {
        free(config->sessions[i].peer);
        config->ssl->SSL_SESSION_free(config->sessions[i].session);
    }
    config->ssl->SSL_CTX_free(config->context);
    free(config->alpn);
    free(config);
}
