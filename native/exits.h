/*
 * exits.h: the ends of a process that has not the threads which Node counts on. Used in forks.
 *
 * 1. After the last listener, and after the last word of an uncaught error, Node joins its threads, and hangs in a futex.
 *    It lets embedders replace that end (node::SetProcessExitHandler), but in C++ only. All that crosses here are
 *    pointers and a std::function of libstdc++, which is four words; a Node that was built with another library has
 *    another name for the function: then nothing is found, and `take_node_exits` says so.
 * 2. When the loop has nothing left to do, Node takes itself apart, without a call that could be replaced. So the end of
 *    the loop is seen first here, by a handle that runs in each of its rounds and keeps it going.
 */
#ifndef CARTON_EXITS_H
#define CARTON_EXITS_H

#include <dlfcn.h>
#include <node_api.h>
#include <stdbool.h>
#include <stdio.h>
#include <unistd.h>
#include <uv.h>

/* To be called from JavaScript's thread. NULL where this Node has other names for what leads there. */
static void *current_environment(void) {
  void *(*isolate)(void) = dlsym(RTLD_DEFAULT, "_ZN2v87Isolate10GetCurrentEv");
  void *(*context)(void *) = dlsym(RTLD_DEFAULT, "_ZN2v87Isolate17GetCurrentContextEv");
  void *(*environment)(void *) = dlsym(RTLD_DEFAULT, "_ZN4node21GetCurrentEnvironmentEN2v85LocalINS0_7ContextEEE");
  return isolate == NULL || context == NULL || environment == NULL ? NULL : environment(context(isolate()));
}

/* ---- Node's way out --------------------------------------------------------------------------------------------- */

/* As std::function lays it out. */
struct exit_function {
  void *captured[2];
  bool (*manage)(void *to, const void *from, int operation);
  void (*invoke)(const void *captured, void **environment, int *code);
};

/* It captures nothing that would have to be copied or freed. */
static bool manage_nothing(void *to, const void *from, int operation) {
  (void)to, (void)from, (void)operation;
  return false;
}

static void leave_at_once(const void *captured, void **environment, int *code) {
  (void)captured, (void)environment;
  fflush(NULL);
  _exit(*code);
}

/* Whether every exit of this process is an immediate one from now on. */
static bool take_node_exits(void) {
  void (*set_handler)(void *, struct exit_function *) = dlsym(RTLD_DEFAULT, "_ZN4node21SetProcessExitHandlerEPNS_11EnvironmentEOSt8functionIFvS1_iEE");
  void *environment = current_environment();
  if (environment == NULL || set_handler == NULL) return false;
  struct exit_function leave = {.manage = manage_nothing, .invoke = leave_at_once};
  set_handler(environment, &leave);
  return true;
}

/* ---- the end of the loop ---------------------------------------------------------------------------------------- */

/*
 * Both functions are JavaScript's and only set an immediate, since what throws in a callback of Node is shown better than
 * what throws in one of ours. The first may find more to do, the second does not come back.
 */
static struct {
  napi_env env;
  napi_ref before_exit, exit;
  uv_prepare_t before_poll;
  uv_idle_t after_immediates;
  /* JavaScript was asked for more to do, and had nothing. */
  bool is_over;
} loop_end;

/* But for the handle that keeps the loop going. */
static bool has_more_to_do(void) {
  uv_handle_t *watch = (uv_handle_t *)&loop_end.before_poll;
  uv_unref(watch);
  bool alive = uv_loop_alive(watch->loop) != 0;
  uv_ref(watch);
  return alive;
}

static void call(napi_ref reference) {
  napi_handle_scope scope;
  napi_value function, global;
  napi_open_handle_scope(loop_end.env, &scope);
  napi_get_reference_value(loop_end.env, reference, &function);
  napi_get_global(loop_end.env, &global);
  napi_make_callback(loop_end.env, NULL, global, function, 0, NULL, NULL);
  napi_close_handle_scope(loop_end.env, scope);
}

/* Closed handles come after immediates, and before the timers of the next round. */
static void look_for_more(uv_handle_t *handle) {
  (void)handle;
  loop_end.is_over = !has_more_to_do();
}

static void look_for_end(uv_prepare_t *handle) {
  bool is_over = loop_end.is_over;
  loop_end.is_over = false;
  if (has_more_to_do()) return;
  if (is_over) return call(loop_end.exit);
  call(loop_end.before_exit);
  uv_idle_init(handle->loop, &loop_end.after_immediates);
  uv_close((uv_handle_t *)&loop_end.after_immediates, look_for_more);
}

/* 0, or an error of libuv. */
static int watch_loop_end(napi_env env, uv_loop_t *loop, napi_value before_exit, napi_value exit) {
  loop_end.env = env;
  napi_create_reference(env, before_exit, 1, &loop_end.before_exit);
  napi_create_reference(env, exit, 1, &loop_end.exit);
  int error = uv_prepare_init(loop, &loop_end.before_poll);
  return error == 0 ? uv_prepare_start(&loop_end.before_poll, look_for_end) : error;
}

#endif
