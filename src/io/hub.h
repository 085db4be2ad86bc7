/*
 * What this room has of a loop: the carriers on descriptors, so that they are closed with it; the
 * streams that are to be flushed before the loop waits; the one buffer that all reading goes
 * through. Made when first needed, ended by the loop.
 */
#ifndef TK_IO_HUB_H
#define TK_IO_HUB_H

#include "loop/loop.h"

/* What is read at once. */
#define TK_HUB_BUFFER 65536

struct tk_hub;

/* A handle that is closed with the loop. */
struct tk_hub_handle {
    struct tk_list node;
    void (*close)(struct tk_hub_handle *handle);
};

struct tk_hub {
    struct tk_loop_part part;
    struct tk_loop *loop;
    struct tk_list handles; /* struct tk_hub_handle */
    struct tk_list dirty;   /* struct tk_dirty */
    struct tk_list starved; /* struct tk_starved */
    char *buffer;
    unsigned soiled; /* how many are dirty, at the most */
    unsigned served; /* descriptors that were ready, since those who waited for them have run */
};

/* What is to be called when some of those who are ready have run, at the latest before the loop
 * waits. */
struct tk_dirty {
    struct tk_list node;
    void (*flush)(struct tk_dirty *dirty);
};

/* What is to be called when a descriptor has been closed. */
struct tk_starved {
    struct tk_list node;
    void (*again)(struct tk_starved *starved);
};

/* That of a loop; NULL: no memory. */
struct tk_hub *tk_hub_of(struct tk_loop *loop);

/* Has it flushed then. Nothing if it is to be already. */
void tk_hub_soil(struct tk_hub *hub, struct tk_dirty *dirty);

/* A descriptor was ready, and that has been dealt with. The last thing in a callback of libuv's. */
void tk_hub_served(struct tk_hub *hub);

/* A descriptor has been closed: those who had none may have one. */
void tk_hub_freed(struct tk_hub *hub);

/* close(descriptor), and that. Whoever waits for the descriptor itself goes on. */
void tk_hub_close_descriptor(struct tk_hub *hub, int fd);

/* Whose is a handle? */
bool tk_raw_owns(const uv_handle_t *handle);
bool tk_socket_owns(const uv_handle_t *handle);
bool tk_dial_owns(const uv_handle_t *handle);
bool tk_lookup_owns(const uv_handle_t *handle);
bool tk_watch_owns(const uv_handle_t *handle);

#endif
