/**
 * Mocha's `spec` reporter with one plain line at the very end, for whoever counts tests by machine.
 */
import { reporters, type MochaOptions, type Runner } from 'mocha';

class PlainReporter extends reporters.Spec {
  constructor(runner: Runner, options?: MochaOptions) {
    super(runner, options);
    runner.once('end', () => {
      const { passes, failures } = runner.stats ?? { passes: 0, failures: 0 };
      // After Spec's own epilogue, which is printed by an earlier listener of the same event.
      console.log(`${passes} passed, ${failures} failed`);
    });
  }
}

export = PlainReporter;
