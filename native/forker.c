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
#include <uv.h>

#include "calls.h"
#include "frames.h"
#include "inheritance.h"
#include "processes.h"
#include "signals.h"
#include "values.h"

/* ---- wait ----------------------------------------------------------------------------------------------------- */

struct waiting {
  napi_env env;
  int control, host;
  bool lingers; /* told to leave, it still reaps until its last child has ended */
  bool has_left;
  int *reopened;
  uint32_t reopened_count;
};

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
  hear_by_itself();
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

/* ---- the table -------------------------------------------------------------------------------------------------- */

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
    {"endUnheard", NULL, end_when_unheard, NULL, NULL, NULL, napi_enumerable, NULL},
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
