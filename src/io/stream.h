/*
 * A stream: bytes in both directions, and who waits for them. It is between a carrier, which brings
 * bytes and takes them away, and verbs, which ask for so many of them or for a line; it knows
 * neither descriptors nor scripts.
 *
 * What has come and nobody has asked for stands in a buffer of the stream's own. Is that fuller
 * than a bound and nobody waits for more, the carrier brings none, so that the peer has to wait.
 * What is written goes into another buffer, which is sent when some of those who are ready have
 * run, at the latest before the loop waits; and earlier when it is full.
 *
 * One verb at a time may read. Verbs that write stand in a line, so that what one of them writes is
 * never torn apart.
 */
#ifndef TK_IO_STREAM_H
#define TK_IO_STREAM_H

#include "io/carrier.h"
#include "io/gate.h"

struct tk_hub;
struct tk_dirty;

/* What a reader waits for. */
enum tk_want {
    TK_WANT_SOME,  /* anything */
    TK_WANT_COUNT, /* so many bytes */
    TK_WANT_LINE,
    TK_WANT_ALL,
    TK_WANT_DESCRIPTOR,
};

/* Bytes that may wait to be sent, and how many are left when writers go on. */
#define TK_STREAM_UNSENT 65536
#define TK_STREAM_LOW 16384
/* Bytes that are read ahead of those who want them. */
#define TK_STREAM_AHEAD 65536

/* In the order in which a request and its answer come to it, for there may be thousands. */
struct tk_stream {
    struct tk_sink sink;        /* first */
    struct tk_carrier *carrier; /* NULL: closed */
    struct tk_bytes in;
    struct tk_gate reading;  /* the verb that reads */
    struct tk_gate readable; /* conditions */
    enum tk_want want;
    int in_error;  /* no more comes because of this */
    int out_error; /* no more goes because of this */
    bool started;  /* the carrier brings bytes */
    bool ended;    /* all has come */
    bool blocked;  /* the carrier takes none for now */
    bool shut;     /* the end has been written */
    bool prompt;   /* what is written is sent at once */
    bool shakes;   /* the carrier has not come to terms with its peer yet */
    bool secure;   /* speaks TLS */
    bool accepted; /* the peer has connected, not we */
    size_t wanted;
    size_t cursor;  /* of what is in it, so much has been read by the verb that reads */
    size_t scanned; /* behind the cursor, so much has been looked through for the end of a line */
    size_t ahead;
    struct tk_sched *sched;
    struct tk_bytes out;
    struct tk_gate writing; /* those that write, in a line */
    struct {
        struct tk_list node;
        void (*flush)(struct tk_dirty *dirty);
    } dirty; /* a struct tk_dirty */
    struct tk_hub *hub;
    double timeout; /* seconds, of its verbs; negative: none */
    size_t limit;   /* of what is read and has no length of its own; SIZE_MAX: none */
    struct tk_gate writable;
    struct tk_gate opening; /* verbs that wait until TLS has begun */
    char *reason;           /* of an error, in words; NULL: it has no other than its own */
    enum tk_stream_kind kind;
    int standard; /* the descriptor of the process' that it stands for; -1: none */
};

/* Makes a blank one: it is closed. */
void tk_stream_init(struct tk_stream *stream);

/* Opens one that is blank, on a descriptor, which it owns from now on, on failure too. 0 or an
 * error. `kind` may be TK_STREAM_ANY. */
int tk_stream_open(struct tk_stream *stream, struct tk_sched *sched, int fd,
                   enum tk_stream_kind kind);
/* The same for a descriptor of this process', 0 to 2, which others share. */
int tk_stream_open_standard(struct tk_stream *stream, struct tk_sched *sched, int fd);
/* The same on any carrier; never fails. */
int tk_stream_attach(struct tk_stream *stream, struct tk_sched *sched, struct tk_carrier *carrier,
                     enum tk_stream_kind kind);
/* Puts another carrier in the place of the present one, which that has become the sink of. What is
 * unread and unsent stays. */
void tk_stream_replace(struct tk_stream *stream, struct tk_carrier *carrier);

/* Closes it: all who wait go on. What is unsent is sent in the background. Idempotent. */
void tk_stream_close(struct tk_stream *stream);

/* Nobody refers to it any more. As closing it, but the process' own descriptors stay open: others
 * use them, too. */
void tk_stream_collect(struct tk_stream *stream);

/* Why nothing can be read, or written, any more; 0: it can. */
int tk_stream_in_error(const struct tk_stream *stream);
int tk_stream_out_error(const struct tk_stream *stream);
/* Why what was written has not all gone and never will; 0: it has, or still can. */
int tk_stream_flush_error(const struct tk_stream *stream);

/* What has come and is behind the cursor. */
const char *tk_stream_data(const struct tk_stream *stream, size_t *count);
/* Is there a whole line? Its length, without the end. */
bool tk_stream_line(struct tk_stream *stream, size_t *length);
/* Is there what a reader wants, or will no more come? */
bool tk_stream_met(struct tk_stream *stream);
/* A verb that reads begins: a file that has been read to its end may be longer by now. */
void tk_stream_look_again(struct tk_stream *stream);
/* A reader wants that; when it stands at the gate, or has stood there and goes on, it comes. */
void tk_stream_want(struct tk_stream *stream, enum tk_want want, size_t count);
void tk_stream_go_on(struct tk_stream *stream);
/* Moves the cursor on. */
void tk_stream_advance(struct tk_stream *stream, size_t count);
/* The verb is over: what is before the cursor is gone; or is still unread. */
void tk_stream_consume(struct tk_stream *stream);
void tk_stream_unread(struct tk_stream *stream);

/* Puts bytes in front of what has come, while no verb reads. False: no memory. */
bool tk_stream_give_back(struct tk_stream *stream, const char *data, size_t count);

/* Takes what it can of the bytes, for the verb whose turn it is; returns how many. */
size_t tk_stream_write(struct tk_stream *stream, const char *data, size_t count);
/* Sends what it can. */
void tk_stream_flush(struct tk_stream *stream);
/* Are no more unsent than that? True, too, if they never will be sent. */
bool tk_stream_sent(const struct tk_stream *stream, size_t left);
/* The end of what is written; all has been sent. Idempotent. 0 or an error. */
int tk_stream_shutdown(struct tk_stream *stream);

/* Unix sockets, all has been sent: a descriptor. 0; TK_IO_AGAIN: writers are let on when it can be
 * tried again; or an error. */
int tk_stream_send_descriptor(struct tk_stream *stream, int fd);
/* The next descriptor that has come, which is the caller's then; -1: there is none. */
int tk_stream_take_descriptor(struct tk_stream *stream);

/* Could one read, or write, without waiting? */
bool tk_stream_is_readable(const struct tk_stream *stream);
bool tk_stream_is_writable(const struct tk_stream *stream);

/* The descriptor at the bottom; -1: it is closed. */
int tk_stream_descriptor(const struct tk_stream *stream);

/* Makes two sockets that are connected with each other. 0 or an error. */
int tk_stream_pair(int fds[2]);

/* What a descriptor is. */
enum tk_stream_kind tk_raw_kind(int fd);

/* TCP: are small pieces sent at once? 0 or an error. */
int tk_stream_set_nodelay(struct tk_stream *stream, bool on);

/* "tcp 127.0.0.1:4000" */
void tk_stream_describe(const struct tk_stream *stream, char *text, size_t size);

#endif
