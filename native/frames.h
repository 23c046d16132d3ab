/*
 * Frames on a control socket, both ways, integers little-endian: u32 bytes of payload, u32 op, u32 id, payload.
 * A descriptor travels beside the first byte of its frame (SCM_RIGHTS, unix(7)). A frame goes out in one system call
 * where the socket has room, so that small ones are never torn.
 */
#ifndef CARTON_FRAMES_H
#define CARTON_FRAMES_H

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
  OP_FORK = 1,    /* to a template: fork, and hand the child the one descriptor and the payload */
  OP_FORKED = 2,  /* from a template: payload is i32 pid */
  OP_FAILED = 3,  /* from a template: payload is i32 errno of a fork that could not be made */
  OP_EXITED = 4,  /* from a template: payload is i32 pid, i32 wait status, of any child, adopted ones too */
  OP_LEAVING = 5     /* from a template: it forks no more, and stays only to tell of the ends of children */
};

#define HEADER_BYTES 12
#define PAYLOAD_LIMIT (64 * 1024)
#define FDS_LIMIT 4
/* A peer that has begun to read a frame and does not go on within this time is given up. */
#define FRAME_MS 1000

static void put32(uint8_t *at, uint32_t value) {
  for (int i = 0; i < 4; i++) at[i] = (uint8_t)(value >> (8 * i));
}

static uint32_t get32(const uint8_t *at) {
  return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

struct outgoing {
  uint32_t op, id;
  const uint8_t *payload;
  uint32_t length;
  const int *fds;
  size_t fd_count;
};

union ancillary {
  struct cmsghdr header;
  char bytes[CMSG_SPACE(sizeof(int) * FDS_LIMIT)];
};

static ssize_t send_part(int fd, struct iovec *parts, size_t part_count, const struct outgoing *frame, bool with_fds) {
  union ancillary control;
  memset(&control, 0, sizeof control);
  struct msghdr message = {.msg_iov = parts, .msg_iovlen = part_count};
  if (with_fds && frame->fd_count > 0) {
    message.msg_control = control.bytes;
    message.msg_controllen = CMSG_SPACE(sizeof(int) * frame->fd_count);
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int) * frame->fd_count);
    memcpy(CMSG_DATA(header), frame->fds, sizeof(int) * frame->fd_count);
  }
  return sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
}

/*
 * 0, or an errno. Any but EPIPE and ECONNRESET says that nothing of the frame was sent and the next may be. One that
 * does not wait fails with EAGAIN while the socket is full.
 */
static int send_frame(int fd, const struct outgoing *frame, bool waits) {
  uint8_t header[HEADER_BYTES];
  put32(header, frame->length);
  put32(header + 4, frame->op);
  put32(header + 8, frame->id);
  size_t done = 0, total = sizeof header + frame->length;
  while (done < total) {
    struct iovec parts[2];
    size_t count = 0;
    if (done < sizeof header) parts[count++] = (struct iovec){header + done, sizeof header - done};
    size_t from = done < sizeof header ? 0 : done - sizeof header;
    if (from < frame->length) parts[count++] = (struct iovec){(void *)(uintptr_t)(frame->payload + from), frame->length - from};
    ssize_t sent = send_part(fd, parts, count, frame, done == 0);
    if (sent >= 0) {
      done += (size_t)sent;
      continue;
    }
    if (errno == EINTR) continue;
    if (errno != EAGAIN) return done == 0 ? errno : EPIPE;
    if (!waits && done == 0) return EAGAIN;
    struct pollfd writable = {.fd = fd, .events = POLLOUT};
    int ready = poll(&writable, 1, waits ? -1 : FRAME_MS);
    if (ready == 0 || (ready < 0 && errno != EINTR)) return EPIPE;
  }
  return 0;
}

struct frame {
  uint32_t length, op, id;
  uint8_t *payload;
  int fds[FDS_LIMIT];
  size_t fd_count;
  bool lost_fds; /* this process had no room for all of them */
};

static void take_fds(struct msghdr *message, struct frame *frame) {
  if ((message->msg_flags & MSG_CTRUNC) != 0) frame->lost_fds = true;
  for (struct cmsghdr *header = CMSG_FIRSTHDR(message); header != NULL; header = CMSG_NXTHDR(message, header)) {
    if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
    size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t i = 0; i < count; i++) {
      int received;
      memcpy(&received, CMSG_DATA(header) + i * sizeof(int), sizeof(int));
      if (frame->fd_count < FDS_LIMIT) frame->fds[frame->fd_count++] = received;
      else close(received);
    }
  }
}

/* Reads exactly `length` bytes; descriptors that come along are gathered in `frame`. 1: read, 0: end of file, -1: errno. */
static int receive_all(int fd, uint8_t *bytes, size_t length, struct frame *frame) {
  while (length > 0) {
    union ancillary control;
    struct iovec part = {.iov_base = bytes, .iov_len = length};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof control.bytes};
    ssize_t received = recvmsg(fd, &message, MSG_CMSG_CLOEXEC);
    if (received < 0 && errno == EINTR) continue;
    if (received < 0 && errno == EAGAIN) {
      struct pollfd readable = {.fd = fd, .events = POLLIN};
      if (poll(&readable, 1, -1) < 0 && errno != EINTR) return -1;
      continue;
    }
    if (received <= 0) return (int)received;
    take_fds(&message, frame);
    bytes += received;
    length -= (size_t)received;
  }
  return 1;
}

static void discard(struct frame *frame) {
  for (size_t i = 0; i < frame->fd_count; i++) close(frame->fds[i]);
  free(frame->payload);
  frame->payload = NULL;
  frame->fd_count = 0;
}

/* As `receive_all`. The frame is the caller's to discard, whatever came. */
static int receive_frame(int fd, struct frame *frame) {
  uint8_t header[HEADER_BYTES];
  memset(frame, 0, sizeof *frame);
  int state = receive_all(fd, header, sizeof header, frame);
  if (state <= 0) return state;
  frame->length = get32(header);
  frame->op = get32(header + 4);
  frame->id = get32(header + 8);
  if (frame->length > PAYLOAD_LIMIT) {
    errno = EMSGSIZE;
    return -1;
  }
  frame->payload = malloc(frame->length + 1);
  if (frame->payload == NULL) return -1;
  return frame->length == 0 ? 1 : receive_all(fd, frame->payload, frame->length, frame);
}

#endif
