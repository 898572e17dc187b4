# fish completion for lamassu
function __lamassu_complete
	set -l words (commandline -opc) (commandline -ct)
	for line in (lamassu __complete $words[2..-1] 2>/dev/null)
		switch $line
			case @file
				__fish_complete_path (commandline -ct)
			case @dir
				__fish_complete_directories (commandline -ct)
			case '*'
				echo $line
		end
	end
end
complete -c lamassu -f -a '(__lamassu_complete)'
