/* What descriptors this process has open, what can be done to make one fit for a child, and writing
 * without a signal. */
#ifndef TK_IO_DESCRIPTORS_H
#define TK_IO_DESCRIPTORS_H

#include <sys/uio.h>

/* No descriptor that is open is above this. */
int tk_descriptors_highest(void);

/* A descriptor for the same thing whose reads and writes block, as programs take for granted; close
 * it when the child has it. A pipe, a file or a terminal is opened anew, so that this process does
 * not notice; a socket is changed for all who share it. A negative errno: none can be had. */
int tk_descriptors_blocking(int fd);

/* writev(2) to what may be a pipe: the signal for one that nobody reads is taken back. Any thread.
 */
ssize_t tk_descriptors_write(int fd, const struct iovec *pieces, int count);

#endif
