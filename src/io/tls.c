/*
 * TLS: see tls.h. OpenSSL works on two blocks of memory, one for what has come and one for what is
 * to go; the carrier below moves those. Invariants:
 *
 *   - what is to go and the carrier below has not taken is in `unsent`; nothing is encrypted while
 *     there is any, so that memory is bounded and order kept
 *   - a call of the sink's may close this carrier: then it is freed when the outermost call that
 *     uses it is over
 */
#include "io/tls.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/error.h"
#include "io/tls_config.h"

/* What is encrypted at once, and the most that one call of OpenSSL's gives. */
#define PORTION 65536
#define RECORD 16384

struct tk_tls {
    struct tk_carrier carrier; /* first: the stream's */
    struct tk_sink sink;       /* of the one below */
    struct tk_carrier *below;  /* NULL: closed */
    struct tk_tls_peer peer;
    const struct tk_openssl *api;
    SSL *ssl;
    BIO *in, *out; /* ssl's */
    struct tk_bytes unsent;
    struct tk_bytes late; /* lingers: what is to be sent, plain */
    int inside;           /* calls that use it */
    int error;            /* TLS has failed, or the carrier below */
    bool open;            /* the handshake is over */
    bool wants;           /* the sink wants bytes */
    bool ended;           /* the sink knows that no more come */
    bool cut;             /* the carrier below brings no more */
    bool shut;            /* the end is to be written when all has gone */
    bool ends;            /* the end has been encrypted */
    bool lingers;         /* is closed, but not before the handshake is over and `late` has gone */
    bool starved;         /* the sink wants to be told when it can write */
    bool closed;
};

static struct tk_tls *of_sink(struct tk_sink *sink)
{
    return tk_container_of(sink, struct tk_tls, sink);
}

/* ---- the end of one ---- */

static void forget(struct tk_tls *tls)
{
    tls->api->SSL_free(tls->ssl);
    tk_tls_config_drop(tls->peer.config);
    tk_bytes_finish(&tls->unsent);
    tk_bytes_finish(&tls->late);
    free(tls->peer.name);
    free(tls);
}

/* False: it is gone. */
static bool leave(struct tk_tls *tls)
{
    tls->inside--;
    if (tls->closed && tls->inside == 0) {
        forget(tls);
        return false;
    }
    return !tls->closed;
}

static void finish(struct tk_tls *tls);

/* Whoever waits for it is told why. */
static void fail(struct tk_tls *tls, int error)
{
    if (tls->error == 0) {
        tls->error = error;
    }
    if (tls->closed) {
        return;
    }
    if (tls->lingers) {
        finish(tls);
        return;
    }
    tls->below->ops->stop(tls->below);
    if (!tls->open) {
        tls->open = true;
        tls->ended = true;
        tls->carrier.sink->ops->opened(tls->carrier.sink, error);
    } else if (!tls->ended) {
        tls->ended = true;
        tls->carrier.sink->ops->ended(tls->carrier.sink, error);
    }
    if (!tls->closed && tls->starved) {
        tls->starved = false;
        tls->carrier.sink->ops->drained(tls->carrier.sink);
    }
}

/* OpenSSL has said no. */
static void fail_tls(struct tk_tls *tls)
{
    const struct tk_openssl *ssl = tls->api;
    long verified = ssl->SSL_get_verify_result(tls->ssl);
    char reason[160];

    if (ERR_GET_REASON(ssl->ERR_peek_last_error()) == SSL_R_CERTIFICATE_VERIFY_FAILED) {
        snprintf(reason, sizeof reason, "certificate verify failed: %s",
                 ssl->X509_verify_cert_error_string(verified));
        ssl->ERR_clear_error();
    } else {
        tk_tls_explain(ssl, "TLS", reason, sizeof reason);
    }
    if (!tls->lingers) {
        tls->carrier.sink->ops->reason(tls->carrier.sink, reason);
    }
    fail(tls, TK_IO_TLS);
}

/* ---- what is to go ---- */

/* Gives the carrier below what OpenSSL has for it. False: not all of it, or it has failed. */
static bool flush(struct tk_tls *tls)
{
    const struct tk_openssl *ssl = tls->api;
    char record[RECORD];

    for (;;) {
        struct iovec piece;
        ssize_t sent;
        int count = 0;

        if (tls->error != 0 && tls->error != TK_IO_TLS) {
            return false;
        }
        if (tk_bytes_count(&tls->unsent) > 0) {
            piece.iov_base = tls->unsent.data + tls->unsent.start;
            piece.iov_len = tk_bytes_count(&tls->unsent);
        } else {
            count = ssl->BIO_read(tls->out, record, sizeof record);
            if (count <= 0) {
                return true;
            }
            piece.iov_base = record;
            piece.iov_len = (size_t)count;
        }
        sent = tls->below->ops->write(tls->below, &piece, 1);
        if (sent < 0) {
            fail(tls, (int)sent);
            return false;
        }
        if (count == 0) {
            tk_bytes_drop(&tls->unsent, (size_t)sent);
        } else if (sent < count &&
                   !tk_bytes_add(&tls->unsent, record + sent, (size_t)(count - sent))) {
            fail(tls, -ENOMEM);
            return false;
        }
        if ((size_t)sent < piece.iov_len) {
            return false;
        }
    }
}

/* Is the handshake over, and no message of the protocol's own that came after it half here? Nothing
 * can be encrypted before the rest has come. */
static bool is_settled(const struct tk_tls *tls)
{
    return tls->open && !tls->api->SSL_in_init(tls->ssl);
}

/* Encrypts a part of a piece; how many bytes, 0 if something has to come first, or an error. */
static ssize_t encrypt(struct tk_tls *tls, const struct iovec *piece, size_t from)
{
    const struct tk_openssl *ssl = tls->api;
    size_t count = piece->iov_len - from;
    int done;

    ssl->ERR_clear_error();
    done = ssl->SSL_write(tls->ssl, (const char *)piece->iov_base + from,
                          (int)(count < PORTION ? count : PORTION));
    if (done > 0) {
        return done;
    }
    if (ssl->SSL_get_error(tls->ssl, done) == SSL_ERROR_WANT_READ) {
        return 0;
    }
    fail_tls(tls);
    return tls->error;
}

static ssize_t carrier_write(struct tk_carrier *carrier, const struct iovec *pieces, int count)
{
    struct tk_tls *tls = (struct tk_tls *)carrier;
    ssize_t taken = 0;
    bool through = tls->open;

    if (tls->error != 0) {
        return tls->error;
    }
    tls->inside++;
    if (through) {
        through = flush(tls);
    }
    for (int i = 0; i < count && through; i++) {
        size_t from = 0;

        while (from < pieces[i].iov_len && through) {
            ssize_t done = encrypt(tls, &pieces[i], from);

            if (done > 0) {
                from += (size_t)done;
                taken += done;
            }
            through = flush(tls) && done > 0;
        }
    }
    tls->starved = !through;
    if (tls->open && tls->error == 0 && !is_settled(tls)) {
        int rc = tls->below->ops->start(tls->below);

        if (rc < 0) {
            fail(tls, rc);
        }
    }
    if (tls->error != 0) {
        taken = tls->error;
    }
    leave(tls); /* writing closes nothing */
    return taken;
}

/* Once: a second time would look for the peer's end, and lose what comes before that. */
static void say_end(struct tk_tls *tls)
{
    if (!tls->ends) {
        tls->ends = true;
        tls->api->ERR_clear_error();
        tls->api->SSL_shutdown(tls->ssl);
        tls->api->ERR_clear_error();
    }
}

/* The end is written behind all that has been encrypted; the carrier's, when all that has gone. */
static int finish_shutdown(struct tk_tls *tls)
{
    if (!tls->shut || !is_settled(tls) || tls->error != 0) {
        return 0;
    }
    say_end(tls);
    if (!flush(tls)) {
        return 0;
    }
    tls->shut = false;
    return tls->below->ops->shutdown(tls->below);
}

static int carrier_shutdown(struct tk_carrier *carrier)
{
    struct tk_tls *tls = (struct tk_tls *)carrier;

    if (tls->error != 0) {
        return tls->error;
    }
    tls->shut = true;
    return finish_shutdown(tls);
}

/* ---- what has come ---- */

/* Gives the sink what has been decrypted. In a call that uses it. */
static void deliver(struct tk_tls *tls)
{
    const struct tk_openssl *ssl = tls->api;
    char record[RECORD];

    while (tls->wants && !tls->ended && !tls->closed) {
        int count;

        ssl->ERR_clear_error();
        count = ssl->SSL_read(tls->ssl, record, sizeof record);
        if (count > 0) {
            tls->carrier.sink->ops->received(tls->carrier.sink, record, (size_t)count);
            continue;
        }
        switch (ssl->SSL_get_error(tls->ssl, count)) {
        case SSL_ERROR_WANT_READ:
            return;
        case SSL_ERROR_ZERO_RETURN:
            tls->ended = true;
            tls->below->ops->stop(tls->below);
            tls->carrier.sink->ops->ended(tls->carrier.sink, 0);
            return;
        default:
            fail_tls(tls);
            return;
        }
    }
}

/* A step of the handshake, or of a message of the protocol's own after it. In a call that uses it.
 */
static void shake(struct tk_tls *tls)
{
    const struct tk_openssl *ssl = tls->api;
    bool begins = !tls->open;
    int rc;

    ssl->ERR_clear_error();
    rc = ssl->SSL_do_handshake(tls->ssl);
    flush(tls); /* an alert, too */
    if (tls->error != 0 || tls->closed) {
        return;
    }
    if (rc != 1) {
        if (ssl->SSL_get_error(tls->ssl, rc) != SSL_ERROR_WANT_READ) {
            fail_tls(tls);
        }
        return;
    }
    tls->open = true;
    if (tls->lingers) {
        finish(tls);
        return;
    }
    finish_shutdown(tls);
    if (!tls->wants) {
        tls->below->ops->stop(tls->below);
    }
    if (begins) {
        tls->carrier.sink->ops->opened(tls->carrier.sink, 0);
    }
    if (!tls->closed && tls->starved) {
        tls->starved = false;
        tls->carrier.sink->ops->drained(tls->carrier.sink);
    }
}

/* In a call that uses it. */
static void advance(struct tk_tls *tls)
{
    if (!is_settled(tls) && tls->error == 0) {
        shake(tls);
    }
    if (!tls->closed && tls->open && tls->error == 0) {
        deliver(tls);
        if (!tls->closed) {
            flush(tls); /* what the protocol itself has to say */
        }
    }
}

static void received(struct tk_sink *sink, const char *data, size_t count)
{
    struct tk_tls *tls = of_sink(sink);

    tls->inside++;
    while (count > 0) {
        int part = count < INT32_MAX ? (int)count : INT32_MAX;

        if (tls->api->BIO_write(tls->in, data, part) != part) {
            fail(tls, -ENOMEM);
            break;
        }
        data += part;
        count -= (size_t)part;
    }
    if (!tls->closed) {
        advance(tls);
    }
    leave(tls);
}

/* An end that TLS has not announced may be an attacker's: OpenSSL says so when it comes there. */
static void ended(struct tk_sink *sink, int error)
{
    struct tk_tls *tls = of_sink(sink);

    tls->inside++;
    tls->cut = true;
    if (error == 0) {
        tls->api->BIO_ctrl(tls->in, BIO_C_SET_BUF_MEM_EOF_RETURN, 0, NULL);
        advance(tls);
    } else {
        fail(tls, error);
    }
    leave(tls);
}

static void drained(struct tk_sink *sink)
{
    struct tk_tls *tls = of_sink(sink);

    tls->inside++;
    if (flush(tls) || tls->error != 0) {
        int rc = tls->error == 0 ? finish_shutdown(tls) : 0;

        if (rc < 0) {
            fail(tls, rc);
        } else if (tls->starved && tls->open && !tls->closed) {
            tls->starved = false;
            tls->carrier.sink->ops->drained(tls->carrier.sink);
        }
    }
    leave(tls);
}

/* The loop goes; the carrier below is gone already. */
static void lost(struct tk_sink *sink)
{
    struct tk_tls *tls = of_sink(sink);

    tls->below = NULL;
    tls->closed = true;
    if (!tls->lingers) {
        tls->carrier.sink->ops->lost(tls->carrier.sink);
    }
    if (tls->inside == 0) {
        forget(tls);
    }
}

static const struct tk_sink_ops sink_ops = {
    .received = received,
    .ended = ended,
    .drained = drained,
    .lost = lost,
};

static int carrier_start(struct tk_carrier *carrier)
{
    struct tk_tls *tls = (struct tk_tls *)carrier;
    int rc = 0;

    tls->wants = true;
    if (!tls->open) {
        return 0; /* it reads anyway */
    }
    tls->inside++;
    deliver(tls);
    if (tls->wants && !tls->cut && !tls->ended && !tls->closed) {
        rc = tls->below->ops->start(tls->below);
    }
    leave(tls);
    return rc;
}

static void carrier_stop(struct tk_carrier *carrier)
{
    struct tk_tls *tls = (struct tk_tls *)carrier;

    tls->wants = false;
    if (is_settled(tls) && !tls->closed) {
        tls->below->ops->stop(tls->below);
    }
}

/* All that is still to go, encrypted, into `rest`, which is plain before. */
static void seal(struct tk_tls *tls, struct tk_bytes *rest)
{
    const struct tk_openssl *ssl = tls->api;
    struct tk_bytes sealed = tls->unsent;
    char record[RECORD];
    int count;

    tls->unsent = (struct tk_bytes){0};
    while (tk_bytes_count(rest) > 0) {
        size_t left = tk_bytes_count(rest);

        ssl->ERR_clear_error();
        count = ssl->SSL_write(tls->ssl, rest->data + rest->start,
                               (int)(left < PORTION ? left : PORTION));
        if (count <= 0) {
            break;
        }
        tk_bytes_drop(rest, (size_t)count);
    }
    say_end(tls);
    while ((count = ssl->BIO_read(tls->out, record, sizeof record)) > 0 &&
           tk_bytes_add(&sealed, record, (size_t)count)) {
    }
    tk_bytes_finish(rest);
    *rest = sealed;
}

/* What is to go goes, in the background. In a call that uses it, or it is freed by the caller. */
static void finish(struct tk_tls *tls)
{
    struct tk_bytes rest = tls->late;
    struct tk_carrier *below = tls->below;

    tls->late = (struct tk_bytes){0};
    if (tls->open && tls->error == 0) {
        seal(tls, &rest);
    } else {
        tk_bytes_finish(&rest);
        rest = tls->unsent; /* an alert */
        tls->unsent = (struct tk_bytes){0};
    }
    tls->closed = true;
    tls->below = NULL;
    below->ops->close(below, &rest);
}

static void carrier_close(struct tk_carrier *carrier, struct tk_bytes *rest)
{
    struct tk_tls *tls = (struct tk_tls *)carrier;

    tls->late = *rest;
    *rest = (struct tk_bytes){0};
    if (!is_settled(tls) && tls->error == 0 && tk_bytes_count(&tls->late) > 0 &&
        tls->below->ops->hurry(tls->below)) {
        tls->lingers = true; /* a reply to a peer that is still shaking hands */
        return;
    }
    finish(tls);
    if (tls->inside == 0) {
        forget(tls);
    }
}

static int carrier_descriptor(const struct tk_carrier *carrier)
{
    const struct tk_tls *tls = (const struct tk_tls *)carrier;

    return tls->below->ops->descriptor(tls->below);
}

static const struct tk_carrier_ops carrier_ops = {
    .start = carrier_start,
    .stop = carrier_stop,
    .write = carrier_write,
    .shutdown = carrier_shutdown,
    .close = carrier_close,
    .descriptor = carrier_descriptor,
};

/* ---- making ---- */

/* What its certificate has to be for, and, if that is a name, what the client asks the server for.
 */
static bool set_name(struct tk_tls *tls, const char *name)
{
    const struct tk_openssl *ssl = tls->api;
    unsigned char address[16];

    if (name == NULL) {
        return true;
    }
    if (inet_pton(AF_INET, name, address) == 1 || inet_pton(AF_INET6, name, address) == 1) {
        return ssl->X509_VERIFY_PARAM_set1_ip_asc(ssl->SSL_get0_param(tls->ssl), name) == 1;
    }
    return ssl->SSL_set1_host(tls->ssl, name) == 1 &&
           ssl->SSL_ctrl(tls->ssl, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name,
                         (void *)(uintptr_t)name) == 1;
}

/* Gives `tls` its connection of OpenSSL's. False: no memory. */
static bool connect_ssl(struct tk_tls *tls, const char *name)
{
    const struct tk_openssl *ssl = tls->api;

    tls->in = ssl->BIO_new(ssl->BIO_s_mem());
    tls->out = ssl->BIO_new(ssl->BIO_s_mem());
    tls->ssl = ssl->SSL_new(tls->peer.config->context);
    if (tls->in == NULL || tls->out == NULL || tls->ssl == NULL) {
        ssl->BIO_free(tls->in);
        ssl->BIO_free(tls->out);
        return false;
    }
    ssl->SSL_set_bio(tls->ssl, tls->in, tls->out);
    ssl->SSL_set_ex_data(tls->ssl, 0, &tls->peer);
    if (tls->peer.config->server) {
        ssl->SSL_set_accept_state(tls->ssl);
        return true;
    }
    ssl->SSL_set_connect_state(tls->ssl);
    if (tls->peer.config->alpn_length > 0 &&
        ssl->SSL_set_alpn_protos(tls->ssl, tls->peer.config->alpn, tls->peer.config->alpn_length) !=
            0) {
        return false;
    }
    if (tls->peer.name != NULL) {
        tk_tls_resume(&tls->peer, tls->ssl);
    }
    return set_name(tls, name);
}

/* What the stream has read of it already comes first. */
static int take_read(struct tk_tls *tls, struct tk_stream *stream)
{
    size_t count = tk_bytes_count(&stream->in);
    int rc = 0;

    if (count > 0) {
        rc = tls->api->BIO_write(tls->in, stream->in.data + stream->in.start, (int)count) ==
                     (int)count
                 ? 0
                 : -ENOMEM;
        tk_bytes_finish(&stream->in);
    }
    if (stream->ended) { /* what has ended before it has begun */
        stream->ended = false;
        tls->cut = true;
        tls->api->BIO_ctrl(tls->in, BIO_C_SET_BUF_MEM_EOF_RETURN, 0, NULL);
    }
    return rc;
}

int tk_tls_start(struct tk_stream *stream, struct tk_tls_config *config, const char *name,
                 const char *session)
{
    struct tk_tls *tls = calloc(1, sizeof *tls);
    int rc;

    if (tls == NULL) {
        return -ENOMEM;
    }
    tls->carrier.ops = &carrier_ops;
    tls->sink.ops = &sink_ops;
    tls->api = config->ssl;
    tls->peer.config = config;
    tls->peer.name = session == NULL ? NULL : strdup(session);
    tls->below = stream->carrier;
    config->uses++;
    if ((session != NULL && tls->peer.name == NULL) || !connect_ssl(tls, name)) {
        forget(tls);
        return -ENOMEM;
    }
    tls->below->sink = &tls->sink;
    tk_stream_replace(stream, &tls->carrier);
    stream->shakes = stream->secure = true;
    tls->inside++;
    rc = take_read(tls, stream);
    if (rc == 0) {
        advance(tls);
        if (!tls->closed && !tls->open && !tls->cut) {
            rc = tls->below->ops->start(tls->below);
        }
    }
    if (rc < 0) {
        fail(tls, rc);
    }
    leave(tls);
    return 0;
}

bool tk_tls_info(const struct tk_stream *stream, struct tk_tls_info *info)
{
    const struct tk_tls *tls = (const struct tk_tls *)stream->carrier;
    const struct tk_openssl *ssl;
    const unsigned char *alpn;
    unsigned length;

    if (tls == NULL || tls->carrier.ops != &carrier_ops || !tls->open) {
        return false;
    }
    ssl = tls->api;
    ssl->SSL_get0_alpn_selected(tls->ssl, &alpn, &length);
    info->version = ssl->SSL_get_version(tls->ssl);
    info->cipher = ssl->SSL_CIPHER_get_name(ssl->SSL_get_current_cipher(tls->ssl));
    info->alpn = (const char *)alpn;
    info->alpn_length = length;
    info->server_name = ssl->SSL_get_servername(tls->ssl, TLSEXT_NAMETYPE_host_name);
    info->resumed = ssl->SSL_session_reused(tls->ssl) != 0;
    return true;
}
