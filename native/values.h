/*
 * values.h: errors, arguments and results, as JavaScript has them. Used by every function of the addon.
 */
#ifndef CARTON_VALUES_H
#define CARTON_VALUES_H

#include <errno.h>
#include <node_api.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <uv.h>

/* libuv has no name for these. */
static const char *name_of(int error) {
  return error == ECHILD ? "ECHILD" : error == ETOOMANYREFS ? "ETOOMANYREFS" : uv_err_name(-error);
}

static napi_value fail(napi_env env, const char *call, int error) {
  char message[160];
  snprintf(message, sizeof message, "%s: %s", call, strerror(error));
  napi_throw_error(env, name_of(error), message);
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

static napi_value truth(napi_env env, bool value) {
  napi_value result;
  napi_get_boolean(env, value, &result);
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

#endif
