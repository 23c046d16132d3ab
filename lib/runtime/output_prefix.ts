/**
 * In development: puts the function's name in front of each line that its process prints, so that a terminal shared by
 * many stays readable.
 */

/** From now on, lines on standard output and standard error begin with `[name] `. */
export function prefixOutput(name: string): void {
  for (const stream of [process.stdout, process.stderr]) prefixStream(stream, `[${name}] `);
}

function prefixStream(stream: NodeJS.WriteStream, prefix: string): void {
  const write = stream.write.bind(stream) as (chunk: string, ...rest: unknown[]) => boolean;
  let atLineStart = true;
  stream.write = ((chunk: unknown, ...rest: unknown[]): boolean => {
    const text = typeof chunk === 'string' ? chunk : Buffer.from(chunk as Uint8Array).toString('utf8');
    const prefixed = (atLineStart ? prefix : '') + text.replace(/\n(?=[^])/g, `\n${prefix}`);
    if (text !== '') atLineStart = text.endsWith('\n');
    return write(text === '' ? '' : prefixed, ...rest);
  }) as typeof stream.write;
}
