# The pause process of pods (containerd.toml). In a directory with the static firstmate:
#   docker build -f pause.Dockerfile -t localhost/firstmate-pause:1 .
FROM scratch
COPY firstmate /firstmate
# It needs no rights to reap.
USER 65535:65535
ENTRYPOINT ["/firstmate", "--pause"]
