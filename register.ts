/**
 * `egg-carton/register`: has Egg's agent and app workers load their code from a snapshot. It belongs first in
 * egg-cluster's `require` list (`"egg": { "require": ["egg-carton/register"] }` in package.json), so that it runs before
 * the framework is loaded. Without a snapshot that fits it changes nothing; in development it never does anything.
 */
import { registerProcess } from './lib/entry/register';

registerProcess();
