// Keeps what was read, for reading without a network: pages with their figures, styles, fonts and scripts.
"use strict";
const BUILD = "@BUILD@"; // a hash of the whole book, put in by _ext/offline.py
const HERE = registration.scope;
const MINE = `kept of ${HERE}: `; // other books may live at the same host
const NAME = MINE + BUILD;
const NEVER_CHANGES = /[?&](v|digest)=|\/_static\/(mathjax|vendor)\/|\/_images\//;
const BELONGS = /(?:src|href)="([^"]*(?:\?(?:v|digest)=|_images\/)[^"]*)"/g; // to a page, and changes its name with the build

// A page has one name, whatever the search or the anchor in its address, and a folder shows its index.
function named(address) {
  const url = new URL(address, HERE);
  url.hash = "";
  if (url.pathname.endsWith("/")) url.pathname += "index.html";
  if (url.pathname.endsWith(".html")) url.search = "";
  return url.href;
}

const isPage = (response) => response.headers.get("Content-Type")?.startsWith("text/html");
const isWhole = (response) => response.status === 200 && response.type === "basic" && !response.redirected;

async function put(address, response) {
  if (isWhole(response)) await (await caches.open(NAME)).put(named(address), response);
}

const kept = (address) => caches.match(named(address), {cacheName: NAME});

// The network's answer, or what was kept where there is none.
async function fromNetwork(event) {
  const {request} = event, wantsPage = request.mode === "navigate";
  try {
    const response = await fetch(request, wantsPage ? {cache: "no-cache"} : {});
    if (!wantsPage || isPage(response)) event.waitUntil(put(request.url, response.clone())); // else it is a download
    return response;
  } catch (error) {
    const page = await kept(request.url);
    if (page) return page;
    if (wantsPage) return missing();
    throw error;
  }
}

async function missing() {
  const links = [];
  for (const {url} of await (await caches.open(NAME)).keys()) {
    const response = await kept(url);
    if (!isPage(response)) continue;
    const title = (await response.text()).match(/<title>([^<]*)/)?.[1];
    links.push(`<li><a href="${url}">${title}</a></li>`);
  }
  const body = `<!doctype html><html lang="en"><meta charset="utf-8"><title>Not kept</title>
    <meta name="viewport" content="width=device-width"><meta name="color-scheme" content="light dark">
    <style>body { max-width: 36rem; margin: 3rem auto; padding: 0 1rem; font: 1.0625rem/1.6 system-ui, sans-serif }</style>
    <h1>This page was not kept</h1>
    <p>There is no network, and this page has not been read on this device before. These have:</p><ul>${links.join("")}</ul>`;
  return new Response(body, {status: 503, headers: {"Content-Type": "text/html; charset=utf-8"}});
}

// With a new build of the book, what was read before is fetched anew, so that it stays readable.
async function renew() {
  const ask = (address) => fetch(address, {cache: "no-cache"}); // or the browser's other cache might answer
  for (const old of (await caches.keys()).filter((name) => name.startsWith(MINE) && name !== NAME)) {
    for (const {url} of await (await caches.open(old)).keys()) {
      if (new URL(url).search) continue; // the old build's
      const response = await ask(url);
      await put(url, response.clone());
      if (!isWhole(response) || !isPage(response)) continue;
      for (const [, part] of (await response.text()).matchAll(BELONGS)) {
        const address = new URL(part, url).href;
        if (address.startsWith(HERE) && !(await kept(address))) await put(address, await ask(address));
      }
    }
  }
  await skipWaiting();
}

async function begin() {
  for (const name of await caches.keys()) if (name.startsWith(MINE) && name !== NAME) await caches.delete(name);
  await clients.claim();
}

addEventListener("install", (event) => event.waitUntil(renew()));
addEventListener("activate", (event) => event.waitUntil(begin()));

addEventListener("fetch", (event) => {
  const {method, mode, url} = event.request;
  if (method !== "GET" || !url.startsWith(HERE)) return;
  const lasting = mode !== "navigate" && NEVER_CHANGES.test(url);
  event.respondWith(lasting ? kept(url).then((found) => found ?? fromNetwork(event)) : fromNetwork(event));
});

// What a page loaded before this worker was there.
addEventListener("message", (event) => {
  const add = async (address) => (await kept(address)) || put(address, await fetch(address));
  event.waitUntil(Promise.all(event.data.filter((address) => address.startsWith(HERE)).map(add)));
});
