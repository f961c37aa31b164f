// What somebody does before a wedding is open: the weddings that there are for this person, and a token for a code.
import { baseOf, request } from './http.js'
import { EARLY_MS, Session } from './session.js'
import type { ListedWedding, OpenOptions, SignedIn, SignInOptions } from './types.js'

/** The weddings that a person may open, by their names. Rejects with ServerError. */
export const listWeddings = async (url: string, options: Pick<OpenOptions, 'token' | 'getToken' | 'dev'>): Promise<readonly ListedWedding[]> => {
  const session = new Session(options)
  await session.begin()
  const found: ListedWedding[] = []
  let after: string | null = ''
  while (after !== null) {
    const query: Record<string, string> = after === '' ? session.personInQuery : { ...session.personInQuery, after }
    const page: any = await request(session.token, 'GET', urlOf(url, 'weddings', query))
    found.push(...page.weddings)
    after = page.next
  }
  return found
}

/**
 * Signs in with the code of an invitation, or goes on with the refresh token of a device that was signed in before. A
 * refresh token is used up with the next one: keep what `onRefreshToken` gives. Rejects with ServerError.
 */
export const signIn = async (url: string, by: { code: string } | { refreshToken: string }, { device = '', onRefreshToken }: SignInOptions = {}): Promise<SignedIn> => {
  const post = async (path: string, body: object): Promise<any> =>
    request('', 'POST', urlOf(url, path), JSON.stringify(body))
  const refresh = (token: string): Promise<any> => post('sessions/refresh', { refresh_token: token })
  let [tokens, endsMs] = [undefined as any, 0]
  const keep = (next: any): void => {
    tokens = next
    endsMs = Date.now() + next.expires_in * 1000
    onRefreshToken?.(next.refresh_token)
  }
  keep('code' in by ? await post('sessions', { code: by.code, device }) : await refresh(by.refreshToken))
  let renewal: Promise<string> | undefined
  const renew = async (): Promise<string> => {
    keep(await refresh(tokens.refresh_token))
    return tokens.access_token
  }
  const getToken = (): string | Promise<string> => {
    if (Date.now() < endsMs - 2 * EARLY_MS) return tokens.access_token
    renewal ??= renew().finally(() => { renewal = undefined })
    return renewal
  }
  return { wedding: tokens.wedding, user: tokens.member.user, role: tokens.member.role, getToken }
}

const urlOf = (url: string, path: string, query: Readonly<Record<string, string>> = {}): URL => {
  const found = new URL(`${baseOf(url)}/api/${path}`)
  for (const [name, value] of Object.entries(query)) found.searchParams.set(name, value)
  return found
}
