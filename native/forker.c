/*
 * forker.c: what a template needs of the kernel and cannot have from Node. Linux only; used by lib/sandbox alone.
 *
 * A template waits in `wait`, in native code: no timer fires, no state drifts, and no memory page is written. Each
 * fork request that arrives on its control socket makes a child, and in that child `wait` returns. Everything that can
 * be said in JavaScript stays there: this file has no policy but the order of system calls.
 *
 * Frames on a control socket, both ways, integers little-endian: u32 bytes of payload, u32 op, u32 id, payload.
 * A descriptor travels beside the first byte of its frame (SCM_RIGHTS, unix(7)).
 */
#define _GNU_SOURCE
#define NAPI_VERSION 8
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <node_api.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <uv.h>

enum {
  OP_FORK = 1,    /* to a template: fork, and hand the child the descriptor and the payload */
  OP_FORKED = 2,  /* from a template: payload is i32 pid */
  OP_FAILED = 3,  /* from a template: payload is i32 errno of a fork that could not be made */
  OP_EXITED = 4,  /* from a template: payload is i32 pid, i32 wait status, of any child, adopted ones too */
  OP_LEAVING = 5  /* from a template that was told to end: it forks no more, and still tells of children that end */
};

#define HEADER_BYTES 12
#define PAYLOAD_LIMIT (64 * 1024)
#define FDS_LIMIT 4

/* ---- errors and arguments ------------------------------------------------------------------------------------- */

static napi_value fail(napi_env env, const char *call, int error) {
  char message[160];
  snprintf(message, sizeof message, "%s: %s", call, strerror(error));
  /* libuv has no name for this one. */
  napi_throw_error(env, error == ECHILD ? "ECHILD" : uv_err_name(-error), message);
  return NULL;
}

static size_t arguments(napi_env env, napi_callback_info info, size_t count, napi_value *values) {
  napi_get_cb_info(env, info, &count, values, NULL, NULL);
  return count;
}

static int32_t integer(napi_env env, napi_value value) {
  int32_t result = -1;
  napi_get_value_int32(env, value, &result);
  return result;
}

static napi_value number(napi_env env, int32_t value) {
  napi_value result;
  napi_create_int32(env, value, &result);
  return result;
}

static void set_field(napi_env env, napi_value object, const char *name, int32_t value) {
  napi_set_named_property(env, object, name, number(env, value));
}

static uv_loop_t *loop_of(napi_env env) {
  uv_loop_t *loop = NULL;
  napi_get_uv_event_loop(env, &loop);
  return loop;
}

/* ---- frames --------------------------------------------------------------------------------------------------- */

static void put32(uint8_t *at, uint32_t value) {
  for (int i = 0; i < 4; i++) at[i] = (uint8_t)(value >> (8 * i));
}

static uint32_t get32(const uint8_t *at) {
  return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

/* Waits while the socket is full. 0, or an errno. */
static int send_all(int fd, const uint8_t *bytes, size_t length, const int *fds, size_t count) {
  union { struct cmsghdr header; char bytes[CMSG_SPACE(sizeof(int) * FDS_LIMIT)]; } control;
  while (length > 0) {
    struct iovec part = {.iov_base = (void *)bytes, .iov_len = length};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    if (count > 0) {
      message.msg_control = control.bytes;
      message.msg_controllen = CMSG_SPACE(sizeof(int) * count);
      struct cmsghdr *header = CMSG_FIRSTHDR(&message);
      header->cmsg_level = SOL_SOCKET;
      header->cmsg_type = SCM_RIGHTS;
      header->cmsg_len = CMSG_LEN(sizeof(int) * count);
      memcpy(CMSG_DATA(header), fds, sizeof(int) * count);
    }
    ssize_t sent = sendmsg(fd, &message, MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0 && errno == EAGAIN) {
      struct pollfd writable = {.fd = fd, .events = POLLOUT};
      if (poll(&writable, 1, -1) < 0 && errno != EINTR) return errno;
      continue;
    }
    if (sent < 0) return errno;
    bytes += sent;
    length -= (size_t)sent;
    count = 0;
  }
  return 0;
}

static int send_frame(int fd, uint32_t op, uint32_t id, const uint8_t *payload, uint32_t length, const int *fds, size_t count) {
  uint8_t header[HEADER_BYTES];
  put32(header, length);
  put32(header + 4, op);
  put32(header + 8, id);
  int error = send_all(fd, header, sizeof header, fds, count);
  return error != 0 || length == 0 ? error : send_all(fd, payload, length, NULL, 0);
}

struct frame {
  uint32_t length, op, id;
  uint8_t *payload;
  int fds[FDS_LIMIT];
  size_t fd_count;
};

/* Reads exactly `length` bytes; descriptors that come along are gathered in `frame`. 1: read, 0: end of file, -1: errno. */
static int receive_all(int fd, uint8_t *bytes, size_t length, struct frame *frame) {
  while (length > 0) {
    union { struct cmsghdr header; char bytes[CMSG_SPACE(sizeof(int) * FDS_LIMIT)]; } control;
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
    for (struct cmsghdr *header = CMSG_FIRSTHDR(&message); header != NULL; header = CMSG_NXTHDR(&message, header)) {
      if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
      size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
      for (size_t i = 0; i < count; i++) {
        int received_fd;
        memcpy(&received_fd, CMSG_DATA(header) + i * sizeof(int), sizeof(int));
        if (frame->fd_count < FDS_LIMIT) frame->fds[frame->fd_count++] = received_fd;
        else close(received_fd);
      }
    }
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

/* As `receive_all`. The payload is the caller's to free. */
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

/* ---- memory --------------------------------------------------------------------------------------------------- */

/*
 * Node maps V8's heap so that a child does not get it (MADV_DONTFORK, nodejs/node#48523). Undoes that for every
 * mapping. /proc/self/smaps would tell which have the flag, at the price of walking all pages; asking for all of them
 * costs a tenth. Mappings of devices refuse (EINVAL), as they should.
 */
static int share_mappings(void) {
  FILE *maps = fopen("/proc/self/maps", "re");
  if (maps == NULL) return errno;
  char line[4352];
  while (fgets(line, sizeof line, maps) != NULL) {
    uintptr_t from, to;
    if (sscanf(line, "%" SCNxPTR "-%" SCNxPTR, &from, &to) != 2 || strstr(line, "[v") != NULL) continue;
    if (madvise((void *)from, to - from, MADV_DOFORK) != 0 && errno != EINVAL) {
      int error = errno;
      fclose(maps);
      return error;
    }
  }
  fclose(maps);
  return 0;
}

/* ---- signals while a template waits ----------------------------------------------------------------------------- */

/* Handlers may run on any of Node's threads; all they do is write one byte here: the signal's number. */
static int signal_pipe[2] = {-1, -1};

static void note_signal(int signal) {
  int error = errno;
  uint8_t byte = (uint8_t)signal;
  /* A full pipe holds a byte already, and one look serves all. */
  if (write(signal_pipe[1], &byte, 1) < 0) {}
  errno = error;
}

/* Noted: the end of a child, and an order to end. Left alone: what a terminal or a debugger sends to whole groups. */
static const int NOTED[] = {SIGCHLD, SIGTERM};
static const int IGNORED[] = {SIGINT, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGPIPE};
#define COUNT(array) (sizeof(array) / sizeof(*(array)))

struct signals {
  struct sigaction noted[COUNT(NOTED)], ignored[COUNT(IGNORED)];
};

static int take_signals(struct signals *saved) {
  if (pipe2(signal_pipe, O_CLOEXEC | O_NONBLOCK) != 0) return errno;
  struct sigaction note = {.sa_handler = note_signal, .sa_flags = SA_RESTART}, ignore = {.sa_handler = SIG_IGN};
  for (size_t i = 0; i < COUNT(NOTED); i++) sigaction(NOTED[i], &note, &saved->noted[i]);
  for (size_t i = 0; i < COUNT(IGNORED); i++) sigaction(IGNORED[i], &ignore, &saved->ignored[i]);
  return 0;
}

static void restore_signals(const struct signals *saved) {
  for (size_t i = 0; i < COUNT(NOTED); i++) sigaction(NOTED[i], &saved->noted[i], NULL);
  for (size_t i = 0; i < COUNT(IGNORED); i++) sigaction(IGNORED[i], &saved->ignored[i], NULL);
  close(signal_pipe[0]);
  close(signal_pipe[1]);
  signal_pipe[0] = signal_pipe[1] = -1;
}

/* ---- children of a template ------------------------------------------------------------------------------------- */

/* Tells of each child that has ended. 0 while there are others, ECHILD when there are none. */
static int reap(int control) {
  for (;;) {
    int status;
    pid_t pid = waitpid(-1, &status, WNOHANG);
    if (pid < 0 && errno == EINTR) continue;
    if (pid < 0) return ECHILD;
    if (pid == 0) return 0;
    uint8_t payload[8];
    put32(payload, (uint32_t)pid);
    put32(payload + 4, (uint32_t)status);
    if (control >= 0) (void)send_frame(control, OP_EXITED, 0, payload, sizeof payload, NULL, 0);
  }
}

/* Kills every child with its group until none is left: as a subreaper, this process inherits theirs meanwhile. */
static void end_all(void) {
  char path[64];
  snprintf(path, sizeof path, "/proc/self/task/%d/children", (int)getpid());
  for (;;) {
    FILE *children = fopen(path, "re");
    int pid;
    while (children != NULL && fscanf(children, "%d", &pid) == 1) {
      kill(-pid, SIGKILL);
      kill(pid, SIGKILL);
    }
    if (children != NULL) fclose(children);
    if (waitpid(-1, NULL, 0) < 0 && errno == ECHILD) return;
  }
}

/* ---- wait ----------------------------------------------------------------------------------------------------- */

/* Gives the child file descriptions of its own, so that it does not share positions with its siblings. */
static int reopen(int fd) {
  char path[32];
  snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
  int flags = fcntl(fd, F_GETFL), kept = fcntl(fd, F_GETFD);
  off_t position = lseek(fd, 0, SEEK_CUR);
  int own = flags < 0 ? -1 : open(path, (flags & ~(O_CREAT | O_EXCL | O_TRUNC)) | O_CLOEXEC);
  if (own < 0) return errno;
  if (position >= 0) lseek(own, position, SEEK_SET);
  int error = dup3(own, fd, (kept & FD_CLOEXEC) != 0 ? O_CLOEXEC : 0) < 0 ? errno : 0;
  close(own);
  return error;
}

struct waiting {
  napi_env env;
  int control, host;
  bool lingers; /* without a control socket it still reaps until its last child has ended */
  bool leaves;  /* it was told to end */
  struct signals signals;
  int *reopened;
  uint32_t reopened_count;
};

static napi_value restored(struct waiting *template, struct frame *frame) {
  napi_env env = template->env;
  restore_signals(&template->signals);
  close(template->control);
  setpgid(0, 0);
  for (uint32_t i = 0; i < template->reopened_count; i++) {
    int error = reopen(template->reopened[i]);
    if (error != 0) return fail(env, "reopening a file after a fork", error);
  }
  uv_loop_t *loop = loop_of(env);
  int error = uv_loop_fork(loop);
  if (error != 0) return fail(env, "uv_loop_fork", -error);
  uv_update_time(loop);
  napi_value result, payload, fds;
  napi_create_object(env, &result);
  set_field(env, result, "op", OP_FORK);
  napi_create_string_utf8(env, (char *)frame->payload, frame->length, &payload);
  napi_set_named_property(env, result, "payload", payload);
  napi_create_array_with_length(env, frame->fd_count, &fds);
  for (uint32_t i = 0; i < frame->fd_count; i++) napi_set_element(env, fds, i, number(env, frame->fds[i]));
  napi_set_named_property(env, result, "fds", fds);
  free(frame->payload);
  return result;
}

/* Anything but a fork is for JavaScript, in the template itself. */
static napi_value asked(struct waiting *template, struct frame *frame) {
  napi_value result, payload;
  restore_signals(&template->signals);
  napi_create_object(template->env, &result);
  set_field(template->env, result, "op", (int32_t)frame->op);
  napi_create_string_utf8(template->env, (char *)frame->payload, frame->length, &payload);
  napi_set_named_property(template->env, result, "payload", payload);
  discard(frame);
  return result;
}

/* NULL in the template, which goes on waiting; in the child, what `wait` returns there. */
static napi_value fork_child(struct waiting *template, struct frame *frame, bool *is_child) {
  pid_t pid = fork();
  if (pid == 0) {
    *is_child = true;
    return restored(template, frame);
  }
  uint8_t payload[4];
  put32(payload, pid < 0 ? (uint32_t)errno : (uint32_t)pid);
  (void)send_frame(template->control, pid < 0 ? OP_FAILED : OP_FORKED, frame->id, payload, sizeof payload, NULL, 0);
  discard(frame);
  return NULL;
}

/* Nobody forks here any more. A template that lingers keeps reaping what it is subreaper of. */
static void leave(struct waiting *template) {
  close(template->control);
  template->control = -1;
  if (!template->lingers || reap(-1) == ECHILD) _exit(0);
}

/* By a signal. One that lingers goes on telling whoever listens of the children that it has. */
static void leave_when_alone(struct waiting *template) {
  if (!template->lingers || template->control < 0) return leave(template);
  template->leaves = true;
  (void)send_frame(template->control, OP_LEAVING, 0, NULL, 0, NULL, 0);
  if (reap(template->control) == ECHILD) _exit(0);
}

static napi_value wait_natively(struct waiting *template) {
  struct frame frame;
  bool is_child = false;
  /* Those that ended while JavaScript ran here, and whose signal went to somebody else. */
  reap(template->control);
  for (;;) {
    struct pollfd watched[3] = {
      {.fd = signal_pipe[0], .events = POLLIN}, {.fd = template->host, .events = POLLIN}, {.fd = template->control, .events = POLLIN},
    };
    if (poll(watched, 3, -1) < 0 && errno != EINTR) return fail(template->env, "poll", errno);
    if (watched[1].revents != 0) {
      end_all();
      _exit(0);
    }
    if (watched[0].revents != 0) {
      uint8_t signals[256];
      ssize_t count = read(signal_pipe[0], signals, sizeof signals);
      int left = reap(template->control);
      if ((template->control < 0 || template->leaves) && left == ECHILD) _exit(0);
      if (count > 0 && memchr(signals, SIGTERM, (size_t)count) != NULL && template->control >= 0) leave_when_alone(template);
    }
    if (template->control < 0 || watched[2].revents == 0) continue;
    if (receive_frame(template->control, &frame) <= 0) {
      discard(&frame);
      leave(template);
      continue;
    }
    if (template->leaves) {
      discard(&frame);
      continue;
    }
    if (frame.op != OP_FORK) return asked(template, &frame);
    napi_value result = fork_child(template, &frame, &is_child);
    if (is_child) return result;
  }
}

/* wait(control, host pidfd, lingers, descriptors to reopen): returns in a child, and on an op that is not a fork. */
static napi_value wait_for_orders(napi_env env, napi_callback_info info) {
  napi_value args[4];
  arguments(env, info, 4, args);
  struct waiting template = {.env = env, .control = integer(env, args[0]), .host = integer(env, args[1])};
  napi_get_value_bool(env, args[2], &template.lingers);
  napi_get_array_length(env, args[3], &template.reopened_count);
  template.reopened = calloc(template.reopened_count + 1, sizeof(int));
  if (template.reopened == NULL) return fail(env, "calloc", ENOMEM);
  for (uint32_t i = 0; i < template.reopened_count; i++) {
    napi_value element;
    napi_get_element(env, args[3], i, &element);
    template.reopened[i] = integer(env, element);
  }
  int error = share_mappings();
  napi_value result = NULL;
  if (error != 0) fail(env, "madvise", error);
  else if ((error = take_signals(&template.signals)) != 0) fail(env, "pipe2", error);
  else result = wait_natively(&template);
  free(template.reopened);
  return result;
}

/* ---- the rest ------------------------------------------------------------------------------------------------- */

/* socketPair(): two connected stream sockets, closed by exec. */
static napi_value socket_pair(napi_env env, napi_callback_info info) {
  (void)info;
  int pair[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) return fail(env, "socketpair", errno);
  napi_value result;
  napi_create_array_with_length(env, 2, &result);
  for (uint32_t i = 0; i < 2; i++) napi_set_element(env, result, i, number(env, pair[i]));
  return result;
}

/* send(socket, op, id, payload: string, descriptors): one frame; waits while the socket is full. */
static napi_value send_to(napi_env env, napi_callback_info info) {
  napi_value args[5];
  arguments(env, info, 5, args);
  size_t length = 0;
  napi_get_value_string_utf8(env, args[3], NULL, 0, &length);
  if (length > PAYLOAD_LIMIT) return fail(env, "send", EMSGSIZE);
  uint8_t *payload = malloc(length + 1);
  if (payload == NULL) return fail(env, "malloc", ENOMEM);
  napi_get_value_string_utf8(env, args[3], (char *)payload, length + 1, &length);
  int fds[FDS_LIMIT];
  uint32_t count = 0;
  napi_get_array_length(env, args[4], &count);
  if (count > FDS_LIMIT) count = FDS_LIMIT;
  for (uint32_t i = 0; i < count; i++) {
    napi_value element;
    napi_get_element(env, args[4], i, &element);
    fds[i] = integer(env, element);
  }
  int error = send_frame(integer(env, args[0]), (uint32_t)integer(env, args[1]), (uint32_t)integer(env, args[2]), payload, (uint32_t)length, fds, count);
  free(payload);
  return error == 0 ? NULL : fail(env, "sendmsg", error);
}

/* exit(code): at once, without joining threads that a forked process does not have. */
static napi_value exit_now(napi_env env, napi_callback_info info) {
  napi_value args[1];
  arguments(env, info, 1, args);
  fflush(NULL);
  _exit(integer(env, args[0]));
}

/* reap(pid): the wait status of a child that has ended, -1 while it runs; throws ECHILD where it is no child. */
static napi_value reap_one(napi_env env, napi_callback_info info) {
  napi_value args[1];
  arguments(env, info, 1, args);
  int status;
  pid_t pid = waitpid(integer(env, args[0]), &status, WNOHANG);
  if (pid < 0) return fail(env, "waitpid", errno);
  return number(env, pid == 0 ? -1 : status);
}

/* becomeSubreaper(): orphans among the descendants become children of this process, prctl(2). */
static napi_value become_subreaper(napi_env env, napi_callback_info info) {
  (void)info;
  return prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0 ? NULL : fail(env, "prctl", errno);
}

/* openProcess(pid): a descriptor that becomes readable when the process ends, pidfd_open(2). */
static napi_value open_process(napi_env env, napi_callback_info info) {
  napi_value args[1];
  arguments(env, info, 1, args);
  long fd = syscall(SYS_pidfd_open, integer(env, args[0]), 0);
  return fd < 0 ? fail(env, "pidfd_open", errno) : number(env, (int32_t)fd);
}

static void on_host_ended(uv_poll_t *watch, int status, int events) {
  (void)watch, (void)status, (void)events;
  kill(0, SIGKILL);
}

/* endWith(pidfd): this process and its group end when that process does. Costs nothing while it lives. */
static napi_value end_with(napi_env env, napi_callback_info info) {
  napi_value args[1];
  arguments(env, info, 1, args);
  uv_poll_t *watch = calloc(1, sizeof *watch);
  if (watch == NULL) return fail(env, "calloc", ENOMEM);
  int error = uv_poll_init(loop_of(env), watch, integer(env, args[0]));
  if (error == 0) error = uv_poll_start(watch, UV_READABLE, on_host_ended);
  if (error != 0) return fail(env, "uv_poll", -error);
  uv_unref((uv_handle_t *)watch);
  return NULL;
}

/* close(fd) */
static napi_value close_fd(napi_env env, napi_callback_info info) {
  napi_value args[1];
  arguments(env, info, 1, args);
  close(integer(env, args[0]));
  return NULL;
}

NAPI_MODULE_INIT() {
  const napi_property_descriptor functions[] = {
    {"wait", NULL, wait_for_orders, NULL, NULL, NULL, napi_enumerable, NULL},
    {"socketPair", NULL, socket_pair, NULL, NULL, NULL, napi_enumerable, NULL},
    {"send", NULL, send_to, NULL, NULL, NULL, napi_enumerable, NULL},
    {"exit", NULL, exit_now, NULL, NULL, NULL, napi_enumerable, NULL},
    {"reap", NULL, reap_one, NULL, NULL, NULL, napi_enumerable, NULL},
    {"becomeSubreaper", NULL, become_subreaper, NULL, NULL, NULL, napi_enumerable, NULL},
    {"openProcess", NULL, open_process, NULL, NULL, NULL, napi_enumerable, NULL},
    {"endWith", NULL, end_with, NULL, NULL, NULL, napi_enumerable, NULL},
    {"close", NULL, close_fd, NULL, NULL, NULL, napi_enumerable, NULL},
  };
  napi_define_properties(env, exports, sizeof functions / sizeof *functions, functions);
  return exports;
}
