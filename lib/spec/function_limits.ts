/**
 * The limits that a function's spec may give and `functionDefaults` in the config must give: one table with range,
 * unit, default and meaning of each. Runs at boot.
 */
import * as v from 'valibot';
import type { FunctionDefaults } from '../support/host_environment';
import { boolean, documented, exactObject, integer } from './checks';

const GIB = 1024 ** 3;

/** Above it a bucket limits nothing that one host could serve. */
const MAX_RATE = 1_000_000;

const POSITIVE = `a number above 0, at most ${MAX_RATE}`;

export const RATE_LIMIT_KEYS = {
  perSecond: documented(v.pipe(v.number(POSITIVE), v.gtValue(0, POSITIVE), v.maxValue(MAX_RATE, POSITIVE)), {
    description: 'Invocations that the bucket gains per second, over all workers of the host; 0.5 is one every two seconds.',
    unit: 'invocations per second',
    default: undefined,
    effect: 'An invocation that finds the bucket empty is refused with CARTON_INGRESS_RATE_LIMITED (429).',
  }),
  burst: documented(integer(1, MAX_RATE), {
    description: 'Invocations that the bucket holds when full; it begins full.',
    unit: 'invocations',
    default: undefined,
    effect: 'See `perSecond`.',
  }),
};

export const FUNCTION_LIMITS = {
  concurrency: documented(integer(1, 10_000), {
    description: 'Invocations that one instance runs at once.',
    unit: 'invocations',
    default: 50,
    effect: 'Above it another instance is launched, up to `maxInstances`; then invocations wait.',
  }),
  minInstances: documented(integer(0, 1_000), {
    description: 'Instances that are kept alive without traffic; 0 lets the last one go.',
    unit: 'instances',
    default: 0,
    effect: 'May not be above `maxInstances`; all functions\' together may not be above `carton.maxInstances`.',
  }),
  maxInstances: documented(integer(1, 1_000), {
    description: 'Instances on one host; `carton.maxInstances` bounds all functions together.',
    unit: 'instances',
    default: 4,
    effect: 'At it, invocations wait for a place up to `queueLimit`.',
  }),
  timeoutMs: documented(integer(1, 3_600_000), {
    description: 'Time from the ingress taking an invocation to its result, or to the end of its stream; waiting and a cold start count.',
    unit: 'milliseconds',
    default: 10_000,
    effect: 'At it the function\'s signal is aborted and the caller gets CARTON_RUNTIME_TIMEOUT (504).',
  }),
  idleTimeoutMs: documented(integer(10, 86_400_000), {
    description: 'Time without an invocation after which an instance is reclaimed. Below 1000 only tests make sense: instances would come and go with each request.',
    unit: 'milliseconds',
    default: 60_000,
    effect: 'At it the instance drains and ends, unless `minInstances` keeps it.',
  }),
  queueLimit: documented(integer(1, 100_000), {
    description: 'Invocations that wait for a place, over all workers of the host.',
    unit: 'invocations',
    default: 500,
    effect: 'Above it an invocation is refused with CARTON_INGRESS_QUEUE_FULL (503).',
  }),
  bodyLimitBytes: documented(integer(0, GIB), {
    description: 'Size of a request\'s body; 0 takes none.',
    unit: 'bytes',
    default: 1_048_576,
    effect: 'Above it the request is refused with CARTON_INGRESS_BODY_TOO_LARGE (413).',
  }),
  rateLimit: documented(v.nullable(exactObject(RATE_LIMIT_KEYS, 'null or an object of perSecond and burst')), {
    description: 'A token bucket over all callers; null limits nothing.',
    unit: '',
    default: null,
    effect: 'See `rateLimit.perSecond`.',
  }),
  idempotent: documented(boolean(), {
    description: 'Whether an invocation that had begun may be run again after its instance died.',
    unit: '',
    default: false,
    effect: 'When false, the caller gets CARTON_INSTANCE_CRASHED (502) instead of a second try.',
  }),
};

export const FUNCTION_LIMIT_NAMES = Object.keys(FUNCTION_LIMITS) as readonly (keyof FunctionDefaults)[];
