/**
 * A compile cache for processes that have no snapshot yet: Node's own where it has one (22.8 and later), otherwise that
 * of v8-compile-cache-lib. Both are keyed by content, so that neither can serve what is stale. Runs in function
 * processes.
 */
import Module from 'node:module';
import { internals } from './commonjs';

interface CompileCacheModule {
  enableCompileCache?(directory: string): unknown;
}

/** `directory` may not exist yet; it has to be this user's alone. */
export function useCompileCache(directory: string): void {
  const { enableCompileCache } = Module as CompileCacheModule;
  if (enableCompileCache !== undefined) {
    enableCompileCache(directory);
    return;
  }
  const { install } = require('v8-compile-cache-lib') as { install(options: { cacheDir: string; prefix: string }): unknown };
  const stock = internals.prototype._compile;
  install({ cacheDir: directory, prefix: 'function-process' });
  const cached = internals.prototype._compile;
  internals.prototype._compile = function _compile(source, filename, ...rest) {
    // The library's scripts cannot import(), and what it takes for CommonJS may be an ES module.
    return (MODULE_SYNTAX.test(source) ? stock : cached).call(this, source, filename, ...rest);
  };
}

const MODULE_SYNTAX = /\b(?:import|export)\b/;
