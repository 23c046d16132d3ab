/**
 * Whether this process exists to be recorded, and what the plugin in it says of its host. On the global object, because
 * the plugin that Egg loads may be another copy of these files than the one that records.
 */
import type { RecordedHost } from './plan';

const STATE = Symbol.for('egg-carton.recording');

interface RecordingState {
  host: Promise<RecordedHost> | undefined;
}

const holder = globalThis as { [STATE]?: RecordingState };

export function setRecording(): void {
  holder[STATE] = { host: undefined };
}

/** Then the plugin launches nothing and serves nothing. */
export function isRecording(): boolean {
  return holder[STATE] !== undefined;
}

export function setRecordedHost(host: Promise<RecordedHost>): void {
  const state = holder[STATE];
  if (state !== undefined) state.host = host;
}

/** Undefined where the plugin is not enabled. Rejects with what is wrong with its configuration or its functions. */
export async function recordedHost(): Promise<RecordedHost | undefined> {
  return holder[STATE]?.host;
}
