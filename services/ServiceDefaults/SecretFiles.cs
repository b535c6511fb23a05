using Microsoft.Extensions.Configuration;

namespace Huzhu.ServiceDefaults;

/// <summary>
/// Settings from a folder of files, as secrets are mounted: each file is named as its setting, with <c>__</c> for <c>:</c>,
/// and holds its value. Unlike an environment variable, a file is not inherited by what a process starts, nor printed with
/// its environment.
/// </summary>
public static class SecretFiles
{
    /// <summary>Which folder; without it there is none.</summary>
    public const string Folder = "Secrets:Folder";

    /// <summary>Adds the folder's settings. They win over all that was added before.</summary>
    /// <exception cref="InvalidOperationException">The folder that is named is not there.</exception>
    public static ConfigurationManager AddSecretFiles(this ConfigurationManager configuration)
    {
        if (configuration[Folder] is not { Length: > 0 } folder)
            return configuration;
        if (!Directory.Exists(folder))
            throw new InvalidOperationException($"{Folder}: there is no folder {folder}.");
        configuration.AddKeyPerFile(Path.GetFullPath(folder));
        return configuration;
    }
}
