/**
 * A directory of files for tests of what a process loads; removed with `remove`.
 */
import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

export class Workspace {
  readonly root = realpathSync(mkdtempSync(path.join(tmpdir(), 'runtime-')));

  path(file: string): string {
    return path.join(this.root, file);
  }

  write(file: string, text: string): string {
    mkdirSync(path.dirname(this.path(file)), { recursive: true });
    writeFileSync(this.path(file), text);
    return this.path(file);
  }

  remove(): void {
    rmSync(this.root, { recursive: true, force: true });
  }
}
