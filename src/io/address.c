/* Addresses: see address.h. */
#include "io/address.h"

#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <uv.h>

static int from_path(const struct sockaddr_un *un, socklen_t size, struct tk_address *address)
{
    size_t length = size > offsetof(struct sockaddr_un, sun_path)
                        ? size - offsetof(struct sockaddr_un, sun_path)
                        : 0;

    address->port = -1;
    memset(address->text, 0, sizeof address->text);
    if (length == 0) {
        return 0; /* it has no name */
    }
    if (length > sizeof un->sun_path) {
        length = sizeof un->sun_path;
    }
    memcpy(address->text, un->sun_path, length);
    if (address->text[0] == '\0') {
        address->text[0] = '@';
    }
    return 0;
}

/* The zone of an address that is of one link only. */
static void add_zone(const struct sockaddr_in6 *in, struct tk_address *address)
{
    char name[IF_NAMESIZE];
    size_t used = strlen(address->text);

    if (in->sin6_scope_id == 0) {
        return;
    }
    if (if_indextoname(in->sin6_scope_id, name) == NULL) {
        snprintf(name, sizeof name, "%u", in->sin6_scope_id);
    }
    snprintf(address->text + used, sizeof address->text - used, "%%%s", name);
}

int tk_address_from(const struct sockaddr_storage *storage, socklen_t size,
                    struct tk_address *address)
{
    int rc;

    switch (storage->ss_family) {
    case AF_INET: {
        const struct sockaddr_in *in = (const void *)storage;

        address->port = ntohs(in->sin_port);
        return uv_ip4_name(in, address->text, sizeof address->text);
    }
    case AF_INET6: {
        const struct sockaddr_in6 *in = (const void *)storage;

        address->port = ntohs(in->sin6_port);
        rc = uv_ip6_name(in, address->text, sizeof address->text);
        if (rc == 0) {
            add_zone(in, address);
        }
        return rc;
    }
    case AF_UNIX:
        return from_path((const void *)storage, size, address);
    default:
        return -EAFNOSUPPORT;
    }
}

int tk_address_of(int fd, bool peer, struct tk_address *address)
{
    struct sockaddr_storage storage;
    socklen_t size = sizeof storage;

    memset(&storage, 0, sizeof storage);
    if ((peer ? getpeername(fd, (struct sockaddr *)&storage, &size)
              : getsockname(fd, (struct sockaddr *)&storage, &size)) < 0) {
        return -errno;
    }
    return tk_address_from(&storage, size, address);
}

socklen_t tk_address_parse(const char *host, int port, struct sockaddr_storage *storage)
{
    memset(storage, 0, sizeof *storage);
    if (uv_ip4_addr(host, port, (struct sockaddr_in *)storage) == 0) {
        return sizeof(struct sockaddr_in);
    }
    if (uv_ip6_addr(host, port, (struct sockaddr_in6 *)storage) == 0) {
        return sizeof(struct sockaddr_in6);
    }
    return 0;
}

socklen_t tk_address_path(const char *path, size_t length, struct sockaddr_storage *storage)
{
    struct sockaddr_un *un = (struct sockaddr_un *)storage;

    memset(storage, 0, sizeof *storage);
    if (length == 0 || length >= sizeof un->sun_path || memchr(path, '\0', length) != NULL) {
        return 0;
    }
    un->sun_family = AF_UNIX;
    memcpy(un->sun_path, path, length);
    if (path[0] == '@') {
        un->sun_path[0] = '\0';
        return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length);
    }
    return sizeof *un;
}

void tk_address_write(const struct tk_address *address, char *text, size_t size)
{
    if (address->port < 0) {
        snprintf(text, size, "%s", address->text);
    } else if (strchr(address->text, ':') != NULL) {
        snprintf(text, size, "[%s]:%d", address->text, address->port);
    } else {
        snprintf(text, size, "%s:%d", address->text, address->port);
    }
}

static bool has_name(int fd, bool peer, struct tk_address *address)
{
    return tk_address_of(fd, peer, address) == 0 &&
           (address->port > 0 || (address->port < 0 && address->text[0] != '\0'));
}

void tk_address_describe(int fd, char *text, size_t size)
{
    struct tk_address address;

    if (!has_name(fd, true, &address) && !has_name(fd, false, &address)) {
        snprintf(text, size, "%d", fd);
        return;
    }
    tk_address_write(&address, text, size);
}
