/**
 * Where the inline launcher finds the application that is booted in this process. Egg boots the agent before the
 * application, so whoever asks first waits; and tests boot an application again and again.
 */
import type { BootedApplication } from '../runtime/application';

interface Slot {
  readonly application: Promise<BootedApplication>;
  readonly register: (application: BootedApplication) => void;
}

const slots = new Map<string, Slot>();

/** The application with this directory, once it was registered. */
export function inlineApplication(baseDir: string): Promise<BootedApplication> {
  return slotOf(baseDir).application;
}

/**
 * A later registration for the same directory replaces an earlier one. The result takes this one back, so that nobody
 * is handed an application that was closed.
 */
export function registerInlineApplication(baseDir: string, application: BootedApplication): () => void {
  // Those that wait already get it, and so does whoever asks from now on.
  slotOf(baseDir).register(application);
  const slot: Slot = { application: Promise.resolve(application), register: () => undefined };
  slots.set(baseDir, slot);
  return () => {
    if (slots.get(baseDir) === slot) slots.delete(baseDir);
  };
}

function slotOf(baseDir: string): Slot {
  let slot = slots.get(baseDir);
  if (slot === undefined) {
    let register: (application: BootedApplication) => void = () => undefined;
    const application = new Promise<BootedApplication>((resolve) => (register = resolve));
    slot = { application, register };
    slots.set(baseDir, slot);
  }
  return slot;
}
