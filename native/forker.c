/*
 * forker.c: what a template needs of the kernel and cannot have from Node. Linux only; used by lib/fork alone.
 *
 * A template waits in `wait`, in native code: no timer fires, no state drifts, and no memory page is written. Each
 * fork request that arrives on its control socket makes a child, and in that child `wait` returns. Everything that can
 * be said in JavaScript stays there: this file has no policy but the order of system calls.
 */
#define _GNU_SOURCE
#define NAPI_VERSION 8
#include <node_api.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <uv.h>

#include "exits.h"
#include "frames.h"
#include "hints.h"
#include "holes.h"
#include "inheritance.h"
#include "processes.h"
#include "signals.h"
#include "values.h"
#include "worker_tasks.h"
#include "written.h"

/* ---- wait ----------------------------------------------------------------------------------------------------- */

struct waiting {
  napi_env env;
  int control, host;
  bool lingers; /* told to leave, it still reaps until its last child has ended */
  bool has_left;
  int *reopened;
  uint32_t reopened_count;
};

/* A frame for JavaScript: { op, payload, fds }. The descriptors are JavaScript's from now on. */
static napi_value frame_object(napi_env env, struct frame *frame) {
  napi_value result, payload, fds;
  napi_create_object(env, &result);
  set_field(env, result, "op", (int32_t)frame->op);
  napi_create_string_utf8(env, (char *)frame->payload, frame->length, &payload);
  napi_set_named_property(env, result, "payload", payload);
  napi_create_array_with_length(env, frame->fd_count, &fds);
  for (uint32_t i = 0; i < frame->fd_count; i++) napi_set_element(env, fds, i, number(env, frame->fds[i]));
  napi_set_named_property(env, result, "fds", fds);
  free(frame->payload);
  return result;
}

/* EX_OSERR of sysexits.h: a fork that could not be made a process of its own. */
#define UNFIT 71

/* No JavaScript may run in such a fork: not even an uncaught error would end it cleanly. */
static void expect(const char *what, int error) {
  if (error == 0) return;
  dprintf(STDERR_FILENO, "egg-carton: a forked process ends, because of %s: %s\n", what, strerror(error));
  _exit(UNFIT);
}

/* Signals are blocked until loop and handlers are the child's own: those of the template would write to its pipe. */
static napi_value restored(struct waiting *template, struct frame *frame, pid_t parent) {
  napi_env env = template->env;
  uv_loop_t *loop = loop_of(env);
  is_waiting = 0;
  restore_signals();
  forget_mappings();
  close(template->control);
  setpgid(0, 0);
  expect("prctl", follow_ancestors(parent));
  for (uint32_t i = 0; i < template->reopened_count; i++) expect("a file that it cannot open again", reopen(template->reopened[i]));
  expect("uv_loop_fork", -uv_loop_fork(loop));
  uv_update_time(loop);
  napi_value result = frame_object(env, frame);
  set_field(env, result, "pid", getpid());
  return result;
}

/* Anything but a fork is for JavaScript, in the template itself. */
static napi_value asked(struct waiting *template, struct frame *frame) {
  is_waiting = 0;
  for (size_t i = 0; i < frame->fd_count; i++) close(frame->fds[i]);
  frame->fd_count = 0;
  return frame_object(template->env, frame);
}

static void answer(struct waiting *template, struct frame *frame, pid_t pid, int error) {
  uint8_t payload[4];
  put32(payload, error != 0 ? (uint32_t)error : (uint32_t)pid);
  struct outgoing told = {.op = error != 0 ? OP_FAILED : OP_FORKED, .id = frame->id, .payload = payload, .length = sizeof payload};
  /* One that nobody knows of would be nobody's to end. */
  if (send_frame(template->control, &told, true) != 0 && error == 0) kill(pid, SIGKILL);
  discard(frame);
}

/* NULL in the template, which goes on waiting; in the child, what `wait` returns there. */
static napi_value fork_child(struct waiting *template, struct frame *frame, bool *is_child) {
  if (frame->fd_count != 1) {
    answer(template, frame, 0, frame->lost_fds ? EMFILE : EINVAL);
    return NULL;
  }
  sigset_t all, before;
  pid_t parent = getpid();
  sigfillset(&all);
  pthread_sigmask(SIG_BLOCK, &all, &before);
  pid_t pid = fork();
  if (pid == 0) {
    *is_child = true;
    napi_value result = restored(template, frame, parent);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return result;
  }
  int error = pid < 0 ? errno : 0;
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  /* Here, too, so that it leads its group before anybody hears of it. */
  if (pid > 0) setpgid(pid, pid);
  answer(template, frame, pid, error);
  return NULL;
}

/* Nobody forks here any more. A template that lingers goes on telling of the ends of what it is subreaper of. */
static void leave(struct waiting *template) {
  template->has_left = true;
  if (!template->lingers || reap(template->control) == ECHILD) _exit(0);
  struct outgoing left = {.op = OP_LEAVING};
  (void)send_frame(template->control, &left, true);
}

static napi_value wait_natively(struct waiting *template) {
  struct frame frame;
  bool is_child = false;
  /* Children may have ended, and signals arrived, while JavaScript ran. */
  for (bool is_first = true;; is_first = false) {
    struct pollfd watched[3] = {
      {.fd = signal_pipe[0], .events = POLLIN}, {.fd = template->host, .events = POLLIN}, {.fd = template->has_left ? -1 : template->control, .events = POLLIN},
    };
    if (poll(watched, 3, is_first ? 0 : -1) < 0 && errno != EINTR) return fail(template->env, "poll", errno);
    if (watched[1].revents != 0) {
      end_all();
      _exit(0);
    }
    if (is_first || watched[0].revents != 0) {
      char bytes[256];
      while (read(signal_pipe[0], bytes, sizeof bytes) == (ssize_t)sizeof bytes) {}
      if (reap(template->control) == ECHILD && template->has_left) _exit(0);
      if (told_to_end && !template->has_left) leave(template);
    }
    if (template->has_left || watched[2].revents == 0) continue;
    if (receive_frame(template->control, &frame) <= 0) {
      discard(&frame);
      leave(template);
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
  /* What stands in a buffer of stdio would be written by every fork. */
  fflush(NULL);
  napi_value result = NULL;
  int error = share_mappings();
  if (error != 0) fail(env, "madvise", error);
  else if ((error = take_signals()) != 0) fail(env, "pipe2", error);
  else {
    is_waiting = 1;
    result = wait_natively(&template);
  }
  free(template.reopened);
  return result;
}

/* Connections that may wait to be accepted; libuv's own number. */
#define BACKLOG 511

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

/*
 * send(socket, op, id, payload: string, descriptors): one frame. EAGAIN while the socket is full. After any error but
 * EPIPE and ECONNRESET the socket is as it was.
 */
static napi_value send_to(napi_env env, napi_callback_info info) {
  napi_value args[5];
  arguments(env, info, 5, args);
  size_t length = 0;
  napi_get_value_string_utf8(env, args[3], NULL, 0, &length);
  uint32_t count = 0;
  napi_get_array_length(env, args[4], &count);
  if (length > PAYLOAD_LIMIT || count > FDS_LIMIT) return fail(env, "send", EMSGSIZE);
  uint8_t *payload = malloc(length + 1);
  if (payload == NULL) return fail(env, "malloc", ENOMEM);
  napi_get_value_string_utf8(env, args[3], (char *)payload, length + 1, &length);
  int fds[FDS_LIMIT];
  for (uint32_t i = 0; i < count; i++) {
    napi_value element;
    napi_get_element(env, args[4], i, &element);
    fds[i] = integer(env, element);
  }
  struct outgoing frame = {
    .op = (uint32_t)integer(env, args[1]), .id = (uint32_t)integer(env, args[2]),
    .payload = payload, .length = (uint32_t)length, .fds = fds, .fd_count = count,
  };
  int error = send_frame(integer(env, args[0]), &frame, false);
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

/* reapAdopted(): reaps what was born of others and has ended: pid, wait status, pid, wait status, … */
static napi_value reap_adopted(napi_env env, napi_callback_info info) {
  (void)info;
  struct adopted adopted;
  adopted.own_session = getsid(0);
  adopted.count = 0;
  each_child(reap_if_adopted, &adopted);
  napi_value result;
  napi_create_array_with_length(env, adopted.count * 2, &result);
  for (uint32_t i = 0; i < adopted.count; i++) {
    napi_set_element(env, result, i * 2, number(env, adopted.pids[i]));
    napi_set_element(env, result, i * 2 + 1, number(env, adopted.statuses[i]));
  }
  return result;
}

/* endedChildren(): pids of children that have ended and that nobody has waited for. */
static napi_value ended_children(napi_env env, napi_callback_info info) {
  (void)info;
  struct ended ended = {.count = 0};
  each_child(note_if_ended, &ended);
  napi_value result;
  napi_create_array_with_length(env, ended.count, &result);
  for (uint32_t i = 0; i < ended.count; i++) napi_set_element(env, result, i, number(env, ended.pids[i]));
  return result;
}

/* reap(pid): of a child that has ended. */
static napi_value reap_one(napi_env env, napi_callback_info info) {
  napi_value args[1];
  arguments(env, info, 1, args);
  waitpid(integer(env, args[0]), NULL, WNOHANG);
  return NULL;
}

/* adoptOrphans(): orphans among the descendants become children of this process, prctl(2). */
static napi_value adopt_orphans(napi_env env, napi_callback_info info) {
  (void)info;
  return prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0 ? NULL : fail(env, "prctl", errno);
}

/* becomeSubreaper(): the same in a root template; nothing that is forked from it outlives both it and its starter. */
static napi_value become_subreaper(napi_env env, napi_callback_info info) {
  root_pid = getpid();
  starter_pid = getppid();
  int error = follow_ancestors(starter_pid);
  return error == 0 ? adopt_orphans(env, info) : fail(env, "prctl", error);
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
  end_self_and_group();
}

static void free_watch(uv_handle_t *watch) {
  free(watch);
}

/* endWith(pidfd): this process and its group end when that process does. Costs nothing while it lives. */
static napi_value end_with(napi_env env, napi_callback_info info) {
  napi_value args[1];
  arguments(env, info, 1, args);
  uv_poll_t *watch = calloc(1, sizeof *watch);
  if (watch == NULL) return fail(env, "calloc", ENOMEM);
  int error = uv_poll_init(loop_of(env), watch, integer(env, args[0]));
  if (error != 0) {
    free(watch);
    return fail(env, "uv_poll", -error);
  }
  error = uv_poll_start(watch, UV_READABLE, on_host_ended);
  if (error != 0) {
    uv_close((uv_handle_t *)watch, free_watch);
    return fail(env, "uv_poll", -error);
  }
  uv_unref((uv_handle_t *)watch);
  return NULL;
}

/*
 * receive(socket, host pidfd): blocks until a frame has come, and ends this process where none will: when nobody holds
 * the other end any more, or when its host has ended. Nothing of libuv runs meanwhile.
 */
static napi_value receive_from(napi_env env, napi_callback_info info) {
  napi_value args[2];
  arguments(env, info, 2, args);
  int fd = integer(env, args[0]);
  struct pollfd watched[2] = {{.fd = fd, .events = POLLIN}, {.fd = integer(env, args[1]), .events = POLLIN}};
  while (poll(watched, 2, -1) < 0) if (errno != EINTR) return fail(env, "poll", errno);
  if (watched[1].revents != 0) end_self_and_group();
  struct frame frame;
  if (receive_frame(fd, &frame) <= 0) _exit(0);
  uv_update_time(loop_of(env));
  return frame_object(env, &frame);
}

/* learnWritten(pid): see written.h; of a fork that is alive. */
static napi_value learn_of(napi_env env, napi_callback_info info) {
  napi_value args[1];
  arguments(env, info, 1, args);
  learn_written((pid_t)integer(env, args[0]));
  return NULL;
}

/* copyWritten(): in a fork, all that a fork of the same template was seen to write. */
static napi_value copy_all_written(napi_env env, napi_callback_info info) {
  (void)env, (void)info;
  copy_written();
  return NULL;
}

/* ignoreHints(): see hints.h. Whether V8's pages lie together from now on. */
static napi_value ignore_all_hints(napi_env env, napi_callback_info info) {
  (void)info;
  napi_value result;
  napi_get_boolean(env, ignore_hints(), &result);
  return result;
}

/* fillHoles(): see holes.h. */
static napi_value fill_all_holes(napi_env env, napi_callback_info info) {
  (void)env, (void)info;
  fill_holes();
  return NULL;
}

/* listenAt(path): a unix socket that listens, which only this user may connect to. Closed by exec. */
static napi_value listen_at(napi_env env, napi_callback_info info) {
  napi_value args[1];
  arguments(env, info, 1, args);
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  size_t length = 0;
  napi_get_value_string_utf8(env, args[0], NULL, 0, &length);
  if (length >= sizeof address.sun_path) return fail(env, "bind", ENAMETOOLONG);
  napi_get_value_string_utf8(env, args[0], address.sun_path, sizeof address.sun_path, &length);
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return fail(env, "socket", errno);
  /* The mode of the socket becomes that of its file, so that it never has another one. */
  const char *failed = fchmod(fd, 0600) != 0 ? "fchmod" : bind(fd, (struct sockaddr *)&address, sizeof address) != 0 ? "bind" : listen(fd, BACKLOG) != 0 ? "listen" : NULL;
  if (failed == NULL) return number(env, fd);
  int error = errno;
  close(fd);
  return fail(env, failed, error);
}

/* runTasksHere(): see worker_tasks.h. Whether V8's tasks for other threads run on the threads that post them now. */
static napi_value run_tasks_here(napi_env env, napi_callback_info info) {
  (void)info;
  napi_value result;
  napi_get_boolean(env, run_worker_tasks_here(), &result);
  return result;
}

/* takeExits(before exit, exit): see exits.h. Whether Node's own way out is an immediate exit from now on. */
static napi_value take_exits(napi_env env, napi_callback_info info) {
  napi_value args[2], result;
  arguments(env, info, 2, args);
  int error = watch_loop_end(env, loop_of(env), args[0], args[1]);
  if (error != 0) return fail(env, "uv_prepare", -error);
  napi_get_boolean(env, take_node_exits(), &result);
  return result;
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
    {"reapAdopted", NULL, reap_adopted, NULL, NULL, NULL, napi_enumerable, NULL},
    {"becomeSubreaper", NULL, become_subreaper, NULL, NULL, NULL, napi_enumerable, NULL},
    {"endedChildren", NULL, ended_children, NULL, NULL, NULL, napi_enumerable, NULL},
    {"reap", NULL, reap_one, NULL, NULL, NULL, napi_enumerable, NULL},
    {"adoptOrphans", NULL, adopt_orphans, NULL, NULL, NULL, napi_enumerable, NULL},
    {"openProcess", NULL, open_process, NULL, NULL, NULL, napi_enumerable, NULL},
    {"endWith", NULL, end_with, NULL, NULL, NULL, napi_enumerable, NULL},
    {"runTasksHere", NULL, run_tasks_here, NULL, NULL, NULL, napi_enumerable, NULL},
    {"takeExits", NULL, take_exits, NULL, NULL, NULL, napi_enumerable, NULL},
    {"receive", NULL, receive_from, NULL, NULL, NULL, napi_enumerable, NULL},
    {"learnWritten", NULL, learn_of, NULL, NULL, NULL, napi_enumerable, NULL},
    {"copyWritten", NULL, copy_all_written, NULL, NULL, NULL, napi_enumerable, NULL},
    {"ignoreHints", NULL, ignore_all_hints, NULL, NULL, NULL, napi_enumerable, NULL},
    {"fillHoles", NULL, fill_all_holes, NULL, NULL, NULL, napi_enumerable, NULL},
    {"listenAt", NULL, listen_at, NULL, NULL, NULL, napi_enumerable, NULL},
    {"close", NULL, close_fd, NULL, NULL, NULL, napi_enumerable, NULL},
  };
  napi_define_properties(env, exports, sizeof functions / sizeof *functions, functions);
  return exports;
}
