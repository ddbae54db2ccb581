// Keeps the page's own files, so that it opens without a network. The build puts the list of them here; what people
// look at never comes this way.
const FILES = ['%FILES%'];
const CACHE = 'vhdx-inspector-%VERSION%';

addEventListener('install', (event) => {
  event.waitUntil(caches.open(CACHE).then((cache) => cache.addAll(FILES)));
});

addEventListener('activate', (event) => {
  const outdated = (name) => name.startsWith('vhdx-inspector-') && name !== CACHE;
  event.waitUntil(
    caches.keys().then((names) => Promise.all(names.filter(outdated).map((name) => caches.delete(name)))),
  );
});

addEventListener('fetch', (event) => {
  const { request } = event;
  const own = FILES.map((file) => new URL(file, location.href).href);
  // The page itself is requested each time if there is a network; what it consists of has its version in its name.
  if (request.mode === 'navigate') {
    event.respondWith(fetch(request).catch(() => caches.match(new URL('./', location.href).href)));
  } else if (own.includes(request.url)) {
    event.respondWith(caches.match(request).then((kept) => kept ?? fetch(request)));
  }
});
