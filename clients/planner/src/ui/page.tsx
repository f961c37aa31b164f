// The frame of every view: its name, a line of what counts, its actions, and what it shows.
import type { ComponentChildren } from 'preact'

interface PageProps {
  title: string
  summary?: ComponentChildren
  actions?: ComponentChildren
  /** Takes the whole height, and scrolls inside. */
  isFixed?: boolean
  children: ComponentChildren
}

export const Page = ({ title, summary, actions, isFixed = false, children }: PageProps) => (
  <section class="page" data-fixed={isFixed} aria-labelledby="page-title">
    <header class="page-head">
      <div>
        <h1 id="page-title" tabIndex={-1}>{title}</h1>
        {summary !== undefined && <p class="summary">{summary}</p>}
      </div>
      {actions !== undefined && <div class="page-actions">{actions}</div>}
    </header>
    {children}
  </section>
)

export const Empty = ({ title, children, icon }: { title: string; children?: ComponentChildren; icon?: ComponentChildren }) => (
  <div class="empty">
    {icon}
    <h2>{title}</h2>
    {children}
  </div>
)
