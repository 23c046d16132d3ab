/**
 * A function that asks a server, as most functions do: by the client that Egg gives it, and by `fetch`. A root template
 * invokes it, so that no instance is the first to load and compile what that takes.
 */
interface MaybeEgg {
  readonly app?: { curl?(url: string, options: object): Promise<unknown> };
}

export default async function callHttp({ app }: MaybeEgg, url: string): Promise<void> {
  await app?.curl?.(url, { method: 'GET', dataType: 'json', contentType: 'json', timeout: 1_000 });
  await (await fetch(url)).json();
}
