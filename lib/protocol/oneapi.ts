/**
 * The OneAPI request: the one form into which every trigger turns what it received, and in which an invocation
 * travels from a trigger to the instance.
 */
export const TRIGGER_TYPES = ['http', 'rpc', 'message', 'schedule', 'mobile', 'oneapi'] as const;
export type TriggerType = (typeof TRIGGER_TYPES)[number];

/** How a stream is written for the caller; chosen from what it accepts. */
export const STREAM_FORMATS = ['ndjson', 'sse'] as const;
export type StreamFormat = (typeof STREAM_FORMATS)[number];

/** W3C trace context of one invocation. */
export interface TraceContext {
  /** 16 bytes. */
  readonly traceId: Buffer;
  /** 8 bytes: this invocation's own span. */
  readonly spanId: Buffer;
  /** 8 bytes: the caller's span; all zero where the trace begins here. */
  readonly parentId: Buffer;
  readonly sampled: boolean;
  /** As it came; empty for none. */
  readonly state: string;
}

/**
 * Where the arguments come from: `body` is a JSON array of them, or `values` are the arguments, some of which are
 * filled from the body once the instance has parsed it.
 */
export type ArgumentPlan =
  | { readonly kind: 'array' }
  | {
      readonly kind: 'values';
      readonly values: readonly unknown[];
      /** Positions that are undefined, which JSON cannot say. */
      readonly missing: readonly number[];
      readonly fromBody: readonly BodyArgument[];
    };

/** The body is the array of arguments. */
export const ARRAY_PLAN: ArgumentPlan = Object.freeze({ kind: 'array' });

/**
 * The arguments of a plan that takes nothing from a body, as the array that a body would hold: the instance then
 * parses them once. Undefined where JSON cannot say them, because one is missing before another.
 */
export function planAsBody(plan: ArgumentPlan): Buffer | undefined {
  if (plan.kind === 'array' || plan.fromBody.length > 0) return undefined;
  const given = plan.values.length - plan.missing.length;
  const trailing = plan.missing.every((index) => index >= given);
  return trailing ? Buffer.from(JSON.stringify(plan.values.slice(0, given))) : undefined;
}

export interface BodyArgument {
  /** Position among the arguments. */
  readonly index: number;
  /** Property of the body; undefined for the body as a whole. */
  readonly name?: string;
}

export interface OneapiRequest {
  /** Name of the function. */
  readonly function: string;
  readonly trigger: TriggerType;
  readonly args: ArgumentPlan;
  /** 16 random bytes. */
  readonly id: Buffer;
  readonly trace: TraceContext;
  /** What the application's resolver returned; undefined for nobody. */
  readonly user: unknown;
  readonly streamFormat: StreamFormat;
}
