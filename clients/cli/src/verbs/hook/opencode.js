// Written by `headwater hook install opencode`; `headwater hook uninstall opencode` removes it.
//
// Tells a Headwater daemon what opencode's sessions do: which begins, works, waits for permission, is idle. It never
// throws, prints nothing, and does not keep opencode waiting: reports are sent one after another, beside its work.
import { readFileSync } from "node:fs"
import { hostname } from "node:os"

const url = "@URL@"
// Reports that wait to be sent. Where no daemon takes them, the ones that come then are dropped.
const MOST_WAITING = 256
const PATIENCE_MS = 50

function wanted(event) {
  if (event.type === "message.part.updated") return event.properties?.part?.type === "tool"
  // Every word that the model says, and every file that it changes.
  if (/^session\.(next\.|diff$)/.test(event.type)) return false
  return /^(session|permission|question|todo)\.|^message\.updated$/.test(event.type)
}

// This process and those above it, as /proc tells.
function processes() {
  const found = []
  try {
    for (let pid = process.pid; pid > 0 && found.length < 8; ) {
      const stat = readFileSync(`/proc/${pid}/stat`, "utf8")
      const close = stat.lastIndexOf(")")
      const fields = stat.slice(close + 2).split(" ")
      found.push({ pid, started: Number(fields[19]), name: stat.slice(stat.indexOf("(") + 1, close) })
      pid = Number(fields[1])
    }
  } catch {}
  return found
}

export const Headwater = async ({ directory }) => {
  const caller = { processes: processes(), cwd: directory, host: hostname() }
  const { TMUX_PANE: pane, TMUX: server } = process.env
  if (pane || server) caller.tmux = { pane, server }
  const headers = { "content-type": "application/json" }
  if (process.env.HEADWATER_TOKEN) headers.authorization = `Bearer ${process.env.HEADWATER_TOKEN}`
  let last = Promise.resolve()
  let waiting = 0
  const send = async (body) => {
    try {
      const signal = AbortSignal.timeout(PATIENCE_MS)
      const answer = await fetch(url, { method: "POST", headers, body, signal })
      await answer.arrayBuffer()
    } catch {}
    waiting -= 1
  }
  return {
    event: async ({ event }) => {
      try {
        if (!wanted(event) || waiting >= MOST_WAITING) return
        // Made now: opencode may change the object later.
        const body = JSON.stringify({ payload: { type: event.type, properties: event.properties }, ...caller })
        waiting += 1
        last = last.then(() => send(body))
      } catch {}
    },
  }
}
